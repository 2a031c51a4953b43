/* Images: those of the caller and those of the library. Part of imiad/imiad.hpp, which is the one
 * to include. */
#ifndef IMIAD_CPP_IMAGE_HPP
#define IMIAD_CPP_IMAGE_HPP

#include "imiad/cpp/base.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace imiad
{

/* Pixels of the caller's, or of an image: nothing is copied and nothing owned. */
class image_view
{
  public:
    image_view(imiad_pixel_format format, int width, int height, std::size_t stride,
               const std::uint8_t *pixels)
    {
        image_.format = format;
        image_.width = width;
        image_.height = height;
        image_.stride = stride;
        image_.pixels = const_cast<std::uint8_t *>(pixels); /* the library reads only */
    }
    explicit image_view(const imiad_image &image) : image_(image)
    {
    }
    const imiad_image *get() const noexcept
    {
        return &image_;
    }
    int width() const noexcept
    {
        return image_.width;
    }
    int height() const noexcept
    {
        return image_.height;
    }
    imiad_pixel_format format() const noexcept
    {
        return image_.format;
    }
    int channels() const noexcept
    {
        bool gray = image_.format == IMIAD_PIXEL_GRAY8 || image_.format == IMIAD_PIXEL_GRAY16;
        bool alpha = image_.format == IMIAD_PIXEL_RGBA8 || image_.format == IMIAD_PIXEL_BGRA8;
        return gray ? 1 : alpha ? 4 : 3;
    }
    /* The bytes of a row: two a pixel of GRAY16. */
    span<const std::uint8_t> row(int y) const noexcept
    {
        int bytes = image_.format == IMIAD_PIXEL_GRAY16 ? 2 : channels();
        return {image_.pixels + static_cast<std::size_t>(y) * image_.stride,
                static_cast<std::size_t>(image_.width * bytes)};
    }
    /* A value of a GRAY16 image. */
    std::uint16_t deep(int x, int y) const noexcept
    {
        std::uint16_t value;
        std::memcpy(&value, row(y).data() + 2 * static_cast<std::size_t>(x), sizeof value);
        return value;
    }

  private:
    imiad_image image_ = IMIAD_IMAGE_INIT;
};

/* An image that the library made. */
class image : public detail::handle<imiad_image, imiad_image_free>
{
  public:
    explicit image(imiad_image *taken) : handle(taken)
    {
    }
    /* All zeros. */
    static image create(imiad_pixel_format format, int width, int height)
    {
        return made(
            [&](imiad_image **out) { return imiad_image_create(out, format, width, height); });
    }
    static image read(const std::string &path)
    {
        return made([&](imiad_image **out) { return imiad_image_read(out, path.c_str()); });
    }
    static image read(const std::string &path, const imiad_decode_options &how)
    {
        return made(
            [&](imiad_image **out) { return imiad_image_read_with(out, path.c_str(), &how); });
    }
    /* From the bytes of a file in memory. */
    static image decode(const void *bytes, std::size_t size,
                        const imiad_decode_options &how = IMIAD_DECODE_OPTIONS_INIT)
    {
        return made([&](imiad_image **out) { return imiad_image_decode(out, bytes, size, &how); });
    }
    static image from_floats(const imiad_float_pixels &pixels)
    {
        return made([&](imiad_image **out) { return imiad_image_from_floats(out, &pixels); });
    }
    template <class F> static image made(F &&make)
    {
        imiad_image *out = nullptr;
        check(make(&out));
        return image(out);
    }
    image_view view() const noexcept
    {
        return image_view(*get());
    }
    operator image_view() const noexcept
    {
        return view();
    }
    span<std::uint8_t> row(int y) noexcept
    {
        return {get()->pixels + static_cast<std::size_t>(y) * get()->stride, view().row(y).size()};
    }
    int width() const noexcept
    {
        return get()->width;
    }
    int height() const noexcept
    {
        return get()->height;
    }
};

inline void write_png(const image_view &picture, const std::string &path)
{
    check(imiad_image_write_png(picture.get(), path.c_str()));
}

/* A GRAY16 image whose values low and high become 0 and 65535. */
inline image stretch(const image_view &picture, double low, double high)
{
    return image::made(
        [&](imiad_image **out) { return imiad_image_stretch(out, picture.get(), low, high); });
}

inline image resize(const image_view &picture, int width, int height)
{
    return image::made(
        [&](imiad_image **out) { return imiad_image_resize(out, picture.get(), width, height); });
}

/* map: width x height floats, rows first. low and high: the ends of the colour scale; equal ones
 * ask for the map's own range. */
inline image draw_heatmap(const image_view &picture, span<const float> map, int width, int height,
                          float low = 0, float high = 0, const image_view *mask = nullptr,
                          const std::string &title = "")
{
    if (map.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height))
        throw error(IMIAD_MISMATCH, "draw_heatmap: the map does not have width x height values");
    imiad_heatmap_options o = IMIAD_HEATMAP_OPTIONS_INIT;
    o.low = low;
    o.high = high;
    o.mask = mask ? mask->get() : nullptr;
    o.title = title.empty() ? nullptr : title.c_str();
    return image::made([&](imiad_image **out) {
        return imiad_image_draw_heatmap(out, picture.get(), map.data(), width, height, &o);
    });
}

} // namespace imiad

#endif
