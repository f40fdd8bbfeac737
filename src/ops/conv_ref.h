#pragma once

#include <cstdint>

#include "core/shape.h"

namespace daybreak {

/// A convolution and its transpose are one bilinear form between a fine and a coarse picture,
///   fine pixel = coarse pixel * stride - pad + tap * dilation,
/// with weight [coarse channels, fine channels / groups, KH, KW]. Conv2d maps fine to coarse,
/// Conv2dTranspose coarse to fine; their data gradients are each other's forward pass.
struct ConvForm {
  Shape fine, coarse;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;

  int fine_per_group() const { return fine.c / groups; }
  int coarse_per_group() const { return coarse.c / groups; }
  std::int64_t fine_at(int n, int c, int h, int w) const {
    return ((std::int64_t{n} * fine.c + c) * fine.h + h) * fine.w + w;
  }
  std::int64_t coarse_at(int n, int c, int h, int w) const {
    return ((std::int64_t{n} * coarse.c + c) * coarse.h + h) * coarse.w + w;
  }
  std::int64_t weight_at(int coarse_c, int fine_c, int kh, int kw) const {
    return ((std::int64_t{coarse_c} * fine_per_group() + fine_c) * kernel_h + kh) * kernel_w + kw;
  }
};

/// coarse[n, cc, h, w] = bias[cc] + sum over fine channels of the group and taps; bias may be null.
template <typename T>
void coarse_from_fine(const ConvForm& f, const T* fine, const T* weight, const T* bias, T* coarse) {
  for (int n = 0; n < f.coarse.n; ++n)
    for (int cc = 0; cc < f.coarse.c; ++cc)
      for (int h = 0; h < f.coarse.h; ++h)
        for (int w = 0; w < f.coarse.w; ++w) {
          const int first = cc / f.coarse_per_group() * f.fine_per_group();
          double sum = bias ? bias[cc] : 0.0;
          for (int fc = 0; fc < f.fine_per_group(); ++fc)
            for (int kh = 0; kh < f.kernel_h; ++kh) {
              const int fh = h * f.stride_h - f.pad_h + kh * f.dilation_h;
              if (fh < 0 || fh >= f.fine.h) continue;
              for (int kw = 0; kw < f.kernel_w; ++kw) {
                const int fw = w * f.stride_w - f.pad_w + kw * f.dilation_w;
                if (fw < 0 || fw >= f.fine.w) continue;
                sum += double{weight[f.weight_at(cc, fc, kh, kw)]} *
                       fine[f.fine_at(n, first + fc, fh, fw)];
              }
            }
          coarse[f.coarse_at(n, cc, h, w)] = static_cast<T>(sum);
        }
}

/// The coarse pixel that a tap of this fine pixel reads, or -1 when there is none.
inline int coarse_pixel(int fine, int tap, int stride, int pad, int dilation, int extent) {
  const int scaled = fine + pad - tap * dilation;
  if (scaled < 0 || scaled % stride != 0 || scaled / stride >= extent) return -1;
  return scaled / stride;
}

/// fine[n, fc, h, w] = bias[fc] + sum over coarse channels of the group and taps; bias may be null.
template <typename T>
void fine_from_coarse(const ConvForm& f, const T* coarse, const T* weight, const T* bias, T* fine) {
  for (int n = 0; n < f.fine.n; ++n)
    for (int fc = 0; fc < f.fine.c; ++fc)
      for (int h = 0; h < f.fine.h; ++h)
        for (int w = 0; w < f.fine.w; ++w) {
          const int group = fc / f.fine_per_group(), in_group = fc % f.fine_per_group();
          double sum = bias ? bias[fc] : 0.0;
          for (int c = 0; c < f.coarse_per_group(); ++c)
            for (int kh = 0; kh < f.kernel_h; ++kh) {
              const int ch = coarse_pixel(h, kh, f.stride_h, f.pad_h, f.dilation_h, f.coarse.h);
              if (ch < 0) continue;
              for (int kw = 0; kw < f.kernel_w; ++kw) {
                const int cw = coarse_pixel(w, kw, f.stride_w, f.pad_w, f.dilation_w, f.coarse.w);
                if (cw < 0) continue;
                const int cc = group * f.coarse_per_group() + c;
                sum += double{weight[f.weight_at(cc, in_group, kh, kw)]} *
                       coarse[f.coarse_at(n, cc, ch, cw)];
              }
            }
          fine[f.fine_at(n, fc, h, w)] = static_cast<T>(sum);
        }
}

/// dweight[cc, fc, kh, kw] = sum over samples and coarse pixels of coarse times fine.
template <typename T>
void weight_gradient(const ConvForm& f, const T* fine, const T* coarse, T* dweight) {
  for (int cc = 0; cc < f.coarse.c; ++cc)
    for (int fc = 0; fc < f.fine_per_group(); ++fc)
      for (int kh = 0; kh < f.kernel_h; ++kh)
        for (int kw = 0; kw < f.kernel_w; ++kw) {
          const int first = cc / f.coarse_per_group() * f.fine_per_group();
          double sum = 0.0;
          for (int n = 0; n < f.coarse.n; ++n)
            for (int h = 0; h < f.coarse.h; ++h) {
              const int fh = h * f.stride_h - f.pad_h + kh * f.dilation_h;
              if (fh < 0 || fh >= f.fine.h) continue;
              for (int w = 0; w < f.coarse.w; ++w) {
                const int fw = w * f.stride_w - f.pad_w + kw * f.dilation_w;
                if (fw < 0 || fw >= f.fine.w) continue;
                sum += double{coarse[f.coarse_at(n, cc, h, w)]} *
                       fine[f.fine_at(n, first + fc, fh, fw)];
              }
            }
          dweight[f.weight_at(cc, fc, kh, kw)] = static_cast<T>(sum);
        }
}

/// dbias[c] = sum of dy over samples and pixels.
template <typename T>
void bias_gradient(const Shape& s, const T* dy, T* dbias) {
  for (int c = 0; c < s.c; ++c) {
    double sum = 0.0;
    for (std::int64_t n = 0; n < s.n; ++n) {
      const T* plane = dy + (n * s.c + c) * s.spatial();
      for (int i = 0; i < s.spatial(); ++i) sum += plane[i];
    }
    dbias[c] = static_cast<T>(sum);
  }
}

}  // namespace daybreak
