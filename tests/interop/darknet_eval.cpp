#include "interop/darknet_eval.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <sstream>

namespace daybreak::test {
namespace {

double activate(const std::string& name, double x) {
  const auto sigmoid = [](double a) { return 1.0 / (1.0 + std::exp(-a)); };
  if (name == "linear") return x;
  if (name == "leaky") return x > 0 ? x : 0.1 * x;
  if (name == "relie") return x > 0 ? x : 0.01 * x;
  if (name == "relu") return x > 0 ? x : 0;
  if (name == "relu6") return std::min(std::max(x, 0.0), 6.0);
  if (name == "logistic") return sigmoid(x);
  if (name == "tanh") return std::tanh(x);
  if (name == "elu") return x >= 0 ? x : std::exp(x) - 1;
  if (name == "selu") return x >= 0 ? 1.0507 * x : 1.0507 * 1.6732 * (std::exp(x) - 1);
  if (name == "ramp") return x * (x > 0) + 0.1 * x;
  if (name == "swish") return x * sigmoid(x);
  if (name == "mish") return x * std::tanh(std::log(1 + std::exp(x)));
  if (name == "hard_mish") return x > 0 ? x : (x > -2 ? x * x / 2 + x : 0);
  if (name == "gelu") {
    return 0.5 * x * (1 + std::tanh(0.797885 * x + 0.035677 * x * x * x));
  }
  if (name == "loggy") return 2 / (1 + std::exp(-x)) - 1;
  if (name == "hardtan") return std::min(std::max(x, -1.0), 1.0);
  if (name == "lhtan") return x < 0 ? 0.001 * x : (x > 1 ? 0.001 * (x - 1) + 1 : x);
  if (name == "plse") {
    return x < -4 ? 0.01 * (x + 4) : (x > 4 ? 0.01 * (x - 4) + 1 : 0.125 * x + 0.5);
  }
  if (name == "stair") {
    const int n = static_cast<int>(std::floor(x));
    return n % 2 == 0 ? std::floor(x / 2) : x - n + std::floor(x / 2);
  }
  throw std::runtime_error("no activation " + name);
}

Map make_map(int c, int h, int w) {
  return {c, h, w, std::vector<double>(static_cast<std::size_t>(c) * h * w)};
}

class Evaluator {
 public:
  Evaluator(const std::vector<float>* weights, bool old_order)
      : weights_(weights), old_order_(old_order) {}

  std::vector<Map> run(const std::vector<EvalSection>& sections, Map input) {
    maps_.clear();
    Map now = std::move(input);
    for (std::size_t i = 1; i < sections.size(); ++i) {
      now = layer(sections[i], now);
      maps_.push_back(now);
    }
    return maps_;
  }
  std::size_t used() const { return used_; }

 private:
  const Map& layer_at(int index) const {
    const int here = static_cast<int>(maps_.size());
    return maps_.at(static_cast<std::size_t>(index < 0 ? here + index : index));
  }

  std::vector<double> take(std::size_t count) {
    std::vector<double> result(count, 0.5);
    for (std::size_t i = 0; weights_ && i < count; ++i) result[i] = weights_->at(used_ + i);
    used_ += count;
    return result;
  }

  Map layer(const EvalSection& s, const Map& x) {
    if (s.name == "convolutional") return convolution(s, x);
    if (s.name == "crop") return crop(s, x);
    if (s.name == "connected") return connected(s, x);
    if (s.name == "batchnorm") return batchnorm(x);
    if (s.name == "maxpool" || s.name == "local_avgpool") return pool(s, x);
    if (s.name == "avgpool") return average(x);
    if (s.name == "upsample") return upsample(s, x);
    if (s.name == "route") return route(s);
    if (s.name == "shortcut") return shortcut(s, x);
    if (s.name == "scale_channels" || s.name == "sam") return scale(s, x);
    if (s.name == "reorg") return reorg(s, x);
    if (s.name == "reorg3d") return reorg3d(s, x);
    if (s.name == "softmax") return softmax(x);
    if (s.name == "activation") return activated(x, s.text("activation", "linear"));
    if (s.name == "dropout" || s.name == "yolo" || s.name == "region" || s.name == "cost") return x;
    throw std::runtime_error("no section " + s.name);
  }

  Map activated(Map x, const std::string& name) const {
    for (double& v : x.v) v = activate(name, v);
    return x;
  }

  static void normalize(Map& y, const std::vector<double>& shift, const std::vector<double>& scale,
                        const std::vector<double>& mean, const std::vector<double>& var) {
    const std::size_t pixels = static_cast<std::size_t>(y.h) * y.w;
    for (std::size_t i = 0; i < y.v.size(); ++i) {
      const std::size_t k = i / pixels;
      y.v[i] = (y.v[i] - mean[k]) / std::sqrt(var[k] + 1e-5) * scale[k] + shift[k];
    }
  }

  Map convolution(const EvalSection& s, const Map& x) {
    const int n = s.number("filters", 1), size = s.number("size", 1);
    const int stride = s.number("stride", 1);
    const int sx = s.number("stride_x", stride), sy = s.number("stride_y", stride);
    const int groups = s.number("groups", 1), dilation = s.number("dilation", 1);
    const int pad = s.number("pad", 0) ? size / 2 : s.number("padding", 0);
    const bool norm = s.number("batch_normalize", 0) != 0;
    const auto bias = take(n);
    std::vector<double> scale, mean, var;
    if (norm) scale = take(n), mean = take(n), var = take(n);
    const int per_group = x.c / groups;
    const auto w = take(static_cast<std::size_t>(n) * per_group * size * size);
    Map y = make_map(n, (x.h + 2 * pad - size) / sy + 1, (x.w + 2 * pad - size) / sx + 1);
    std::size_t i = 0;
    for (int k = 0; k < n; ++k)
      for (int oy = 0; oy < y.h; ++oy)
        for (int ox = 0; ox < y.w; ++ox, ++i) {
          const int first = k / (n / groups) * per_group;
          for (int c = 0; c < per_group; ++c)
            for (int a = 0; a < size; ++a)
              for (int b = 0; b < size; ++b) {
                const int iy = oy * sy - pad * dilation + a * dilation;
                const int ix = ox * sx - pad * dilation + b * dilation;
                if (iy < 0 || ix < 0 || iy >= x.h || ix >= x.w) continue;
                y.v[i] += w[((static_cast<std::size_t>(k) * per_group + c) * size + a) * size + b] *
                          x.at(first + c, iy, ix);
              }
        }
    if (norm) {
      normalize(y, bias, scale, mean, var);
    } else {
      const std::size_t pixels = static_cast<std::size_t>(y.h) * y.w;
      for (std::size_t j = 0; j < y.v.size(); ++j) y.v[j] += bias[j / pixels];
    }
    return activated(std::move(y), s.text("activation", "logistic"));
  }

  Map connected(const EvalSection& s, const Map& x) {
    const int n = s.number("output", 1);
    const std::size_t inputs = x.v.size();
    const auto bias = take(n);
    const auto w = take(inputs * n);
    Map y = make_map(n, 1, 1);
    for (int k = 0; k < n; ++k)
      for (std::size_t i = 0; i < inputs; ++i) {
        y.v[k] += x.v[i] * (old_order_ ? w[i * n + k] : w[k * inputs + i]);
      }
    if (s.number("batch_normalize", 0)) {
      const auto scale = take(n), mean = take(n), var = take(n);
      normalize(y, bias, scale, mean, var);
    } else {
      for (int k = 0; k < n; ++k) y.v[k] += bias[k];
    }
    return activated(std::move(y), s.text("activation", "logistic"));
  }

  Map batchnorm(Map x) {
    const auto shift = take(x.c), scale = take(x.c), mean = take(x.c), var = take(x.c);
    normalize(x, shift, scale, mean, var);
    return x;
  }

  static Map pool(const EvalSection& s, const Map& x) {
    const int stride = s.number("stride", 1), size = s.number("size", stride);
    const int sx = s.number("stride_x", stride), sy = s.number("stride_y", stride);
    const int pad = s.number("padding", size - 1);
    const bool max = s.name == "maxpool";
    Map y = make_map(x.c, (x.h + pad - size) / sy + 1, (x.w + pad - size) / sx + 1);
    std::size_t i = 0;
    for (int k = 0; k < y.c; ++k)
      for (int oy = 0; oy < y.h; ++oy)
        for (int ox = 0; ox < y.w; ++ox, ++i) {
          double best = -std::numeric_limits<double>::max(), sum = 0;
          int inside = 0;
          for (int a = 0; a < size; ++a)
            for (int b = 0; b < size; ++b) {
              const int iy = -(pad / 2) + oy * sy + a, ix = -(pad / 2) + ox * sx + b;
              if (iy < 0 || ix < 0 || iy >= x.h || ix >= x.w) continue;
              best = std::max(best, x.at(k, iy, ix));
              sum += x.at(k, iy, ix);
              ++inside;
            }
          y.v[i] = max ? best : sum / inside;
        }
    return y;
  }

  static Map average(const Map& x) {
    Map y = make_map(x.c, 1, 1);
    const std::size_t pixels = static_cast<std::size_t>(x.h) * x.w;
    for (std::size_t i = 0; i < x.v.size(); ++i) y.v[i / pixels] += x.v[i] / double(pixels);
    return y;
  }

  static Map crop(const EvalSection& s, const Map& x) {
    const int h = s.number("crop_height", 1), w = s.number("crop_width", 1);
    const bool adjust = s.number("noadjust", 0) == 0;
    Map y = make_map(x.c, h, w);
    std::size_t i = 0;
    for (int k = 0; k < y.c; ++k)
      for (int row = 0; row < h; ++row)
        for (int column = 0; column < w; ++column) {
          const double v = x.at(k, row + (x.h - h) / 2, column + (x.w - w) / 2);
          y.v[i++] = adjust ? 2 * v - 1 : v;
        }
    return y;
  }

  static Map upsample(const EvalSection& s, const Map& x) {
    const int stride = s.number("stride", 2);
    Map y = make_map(x.c, x.h * stride, x.w * stride);
    std::size_t i = 0;
    for (int k = 0; k < y.c; ++k)
      for (int oy = 0; oy < y.h; ++oy)
        for (int ox = 0; ox < y.w; ++ox) y.v[i++] = x.at(k, oy / stride, ox / stride);
    return y;
  }

  Map route(const EvalSection& s) const {
    const int groups = s.number("groups", 1), group = s.number("group_id", 0);
    Map y;
    for (const int index : s.list("layers")) {
      const Map& x = layer_at(index);
      y.h = x.h, y.w = x.w, y.c += x.c / groups;
      const std::size_t part = x.v.size() / groups;
      y.v.insert(y.v.end(), x.v.begin() + part * group, x.v.begin() + part * (group + 1));
    }
    return y;
  }

  // In pj's words: `w1` is of the layer that is added, `w2` of the sum. With equal sizes it is
  // ab's.
  Map shortcut(const EvalSection& s, Map x) const {
    const double alpha = std::stod(s.text("alpha", "1")), beta = std::stod(s.text("beta", "1"));
    for (const int index : s.list("from")) {
      const Map& other = layer_at(index);
      const int stride = std::max(1, other.w / x.w);
      for (int k = 0; k < std::min(x.c, other.c); ++k)
        for (int j = 0; j < x.h; ++j)
          for (int i = 0; i < x.w; ++i) {
            double& v = x.v[i + std::size_t(x.w) * (j + std::size_t(x.h) * k)];
            v = alpha * v + beta * other.at(k, j * stride, i * stride);
          }
    }
    return activated(std::move(x), s.text("activation", "linear"));
  }

  Map scale(const EvalSection& s, const Map& x) const {
    Map y = layer_at(s.number("from", 0));
    const std::size_t pixels = static_cast<std::size_t>(y.h) * y.w;
    for (std::size_t i = 0; i < y.v.size(); ++i) {
      if (s.name == "sam") {
        y.v[i] *= x.v[i];
      } else if (s.number("scale_wh", 0)) {
        y.v[i] *= x.v[i % pixels];
      } else {
        y.v[i] *= x.v[i / pixels];
      }
    }
    return activated(std::move(y), s.text("activation", "linear"));
  }

  static Map reorg(const EvalSection& s, const Map& x) {
    const int t = s.number("stride", 1);
    Map y = make_map(x.c * t * t, x.h / t, x.w / t);
    const int parts = x.c / (t * t);
    for (int k = 0; k < x.c; ++k)
      for (int j = 0; j < x.h; ++j)
        for (int i = 0; i < x.w; ++i) {
          const int c2 = k % parts, o = k / parts;
          const int w2 = i * t + o % t, h2 = j * t + o / t;
          y.v[i + std::size_t(x.w) * (j + std::size_t(x.h) * k)] =
              x.v[w2 + std::size_t(x.w) * t * (h2 + std::size_t(x.h) * t * c2)];
        }
    return y;
  }

  static Map reorg3d(const EvalSection& s, const Map& x) {
    const int t = s.number("stride", 1);
    Map y = make_map(x.c * t * t, x.h / t, x.w / t);
    std::size_t i = 0;
    for (int k = 0; k < y.c; ++k)
      for (int oy = 0; oy < y.h; ++oy)
        for (int ox = 0; ox < y.w; ++ox) {
          const int o = k / x.c;
          y.v[i++] = x.at(k % x.c, oy * t + o / t, ox * t + o % t);
        }
    return y;
  }

  static Map softmax(Map x) {
    const double largest = *std::max_element(x.v.begin(), x.v.end());
    double sum = 0;
    for (double& v : x.v) sum += v = std::exp(v - largest);
    for (double& v : x.v) v /= sum;
    x.c = static_cast<int>(x.v.size()), x.h = x.w = 1;
    return x;
  }

  const std::vector<float>* weights_;
  bool old_order_;
  std::size_t used_ = 0;
  std::vector<Map> maps_;
};

Map input_of(const EvalSection& net) {
  return make_map(net.number("channels", 3), net.number("height", 8), net.number("width", 8));
}

}  // namespace

int EvalSection::number(const std::string& key, int fallback) const {
  const auto found = keys.find(key);
  return found == keys.end() ? fallback : std::stoi(found->second);
}

std::string EvalSection::text(const std::string& key, const std::string& fallback) const {
  const auto found = keys.find(key);
  return found == keys.end() ? fallback : found->second;
}

std::vector<int> EvalSection::list(const std::string& key) const {
  std::vector<int> result;
  std::stringstream stream(text(key, ""));
  for (std::string part; std::getline(stream, part, ',');) result.push_back(std::stoi(part));
  return result;
}

std::vector<EvalSection> eval_sections(const std::string& cfg) {
  std::vector<EvalSection> sections;
  std::stringstream stream(cfg);
  for (std::string line; std::getline(stream, line);) {
    std::erase_if(line, [](char c) { return c == ' ' || c == '\r' || c == '\t'; });
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      sections.push_back({line.substr(1, line.size() - 2), {}});
    } else {
      const std::size_t equals = line.find('=');
      sections.back().keys[line.substr(0, equals)] = line.substr(equals + 1);
    }
  }
  return sections;
}

std::size_t eval_weight_count(const std::string& cfg) {
  const auto sections = eval_sections(cfg);
  Evaluator evaluator(nullptr, false);
  evaluator.run(sections, input_of(sections[0]));
  return evaluator.used();
}

std::vector<Map> eval_darknet(const std::string& cfg, const std::vector<float>& weights,
                              const Map& input, bool old_order) {
  return Evaluator(&weights, old_order).run(eval_sections(cfg), input);
}

std::string weights_bytes(const std::vector<float>& weights, int major, int minor) {
  std::string bytes;
  const auto add = [&bytes](const auto& value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  add(std::int32_t{major}), add(std::int32_t{minor}), add(std::int32_t{5});
  if (major * 10 + minor >= 2 && major < 1000 && minor < 1000) {
    add(std::uint64_t{1234});
  } else {
    add(std::uint32_t{1234});
  }
  for (const float value : weights) add(value);
  return bytes;
}

std::vector<float> random_weights(const std::string& cfg, unsigned seed) {
  std::mt19937 random(seed);
  // Positive throughout, so that what lands in a variance is one; small enough for many layers.
  std::uniform_real_distribution<float> values(0.05f, 0.4f);
  std::vector<float> weights(eval_weight_count(cfg));
  for (float& value : weights) value = values(random);
  return weights;
}

}  // namespace daybreak::test
