# plain comments as Doxygen's: of the file, behind code, before code
1s,^/\* ,/** @file\
 * ,
s,^(.*[^ /].*) /\* ,\1 /**< ,
s,^( *)/\* ,\1/** ,
