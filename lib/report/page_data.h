/* The report's style and script, which embed_page.py makes texts of at build time. */
#ifndef REPORT_PAGE_DATA_H
#define REPORT_PAGE_DATA_H

extern const char page_style[], page_script[];
extern const char page_style_digest[], page_script_digest[]; /* SHA-256 in base64 */

#endif
