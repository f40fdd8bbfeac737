#include "config/yaml_reader.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include "config/builtin.h"
#include "config/text_check.h"
#include "core/text.h"

namespace daybreak {
namespace {

/// Leaves the parser when going on makes no sense; the error is in the diagnostics already.
struct Stop {};

/// Builds the tree from the parser's events.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const SourceText& source, std::string file, Diagnostics& diagnostics)
      : source_(source), file_(std::move(file)), diagnostics_(diagnostics) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) stop(at(mark), "several documents in one file (a second \"---\")");
  }
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark&, const std::string&) override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.mark = at(mark);
    leaf(std::move(node), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    if (value.size() > yaml_limits::kScalarBytes) {
      stop(at(mark), fmt::format("text of {} bytes, at most {} are accepted", value.size(),
                                 yaml_limits::kScalarBytes));
    }
    Node node = Node::make_scalar(value, at(mark));
    node.quoted = tag == "!";  // the parser's way to say "not a plain scalar"
    leaf(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) stop(at(mark), "alias of a value that contains it");
    if (++aliases_ > yaml_limits::kAliases) {
      stop(at(mark), fmt::format("more than {} uses of anchors", yaml_limits::kAliases));
    }
    if (static_cast<int>(open_.size()) + it->second.depth() > yaml_limits::kDepth) too_deep(mark);
    if (expects_key()) stop(at(mark), "a key must be written out, not an alias");
    count(mark, it->second.count());
    attach(Node(it->second));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(Node::make_list({}, at(mark)), mark, tag, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(Node::make_map(at(mark)), mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapEnd() override { end(); }

  Node take_root() { return root_ ? std::move(*root_) : Node{}; }
  Mark at(const YAML::Mark& mark) const {
    if (mark.is_null()) return {file_, 0, 0};
    const auto line = static_cast<std::size_t>(mark.line);
    return {file_, mark.line + 1, source_.column(line, static_cast<std::size_t>(mark.column))};
  }

 private:
  struct Level {
    Node node;
    YAML::anchor_t anchor = 0;
    std::optional<NodeEntry> key;  ///< map: a key that waits for its value
    std::map<std::string, std::size_t, std::less<>> known;
  };

  [[noreturn]] void stop(const Mark& mark, const std::string& text) {
    diagnostics_.add(mark, text);
    throw Stop{};
  }
  [[noreturn]] void too_deep(const YAML::Mark& mark) {
    stop(at(mark), fmt::format("lists and maps nested deeper than {} levels", yaml_limits::kDepth));
  }

  void count(const YAML::Mark& mark, std::size_t values) {
    nodes_ += values;
    if (nodes_ > yaml_limits::kNodes) {
      stop(at(mark), fmt::format("more than {} values (aliases count as what they stand for)",
                                 yaml_limits::kNodes));
    }
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    diagnostics_.add(at(mark), fmt::format("tag {} is not accepted", quote(tag)));
  }

  bool expects_key() const {
    return !open_.empty() && open_.back().node.is_map() && !open_.back().key;
  }

  void begin(Node node, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_tag(mark, tag);
    if (expects_key())
      stop(at(mark), fmt::format("a key must be text, found {} (is a closing bracket missing?)",
                                 describe(node)));
    if (static_cast<int>(open_.size()) >= yaml_limits::kDepth) too_deep(mark);
    count(mark, 1);
    open_.push_back({std::move(node), anchor, std::nullopt, {}});
  }

  void end() {
    Level level = std::move(open_.back());
    open_.pop_back();
    if (level.anchor != 0) anchors_[level.anchor] = level.node;
    attach(std::move(level.node));
  }

  void leaf(Node node, YAML::anchor_t anchor) {
    nodes_ += 1;
    if (nodes_ > yaml_limits::kNodes) {
      stop(node.mark, fmt::format("more than {} values", yaml_limits::kNodes));
    }
    if (expects_key()) {
      take_key(std::move(node));
      return;
    }
    if (anchor != 0) anchors_[anchor] = node;
    attach(std::move(node));
  }

  void take_key(Node node) {
    if (node.is_null())
      stop(node.mark, "a key must be text, found nothing (quote \"null\" and \"~\")");
    if (node.is_word("<<")) {
      diagnostics_.add(node.mark, "merge key \"<<\" is not accepted",
                       {"name a file to start from with _base_, or write the values out"});
    }
    open_.back().key = NodeEntry{std::move(node.text), std::move(node.mark), {}};
  }

  void attach(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = open_.back();
    if (level.node.is_list()) {
      level.node.items.push_back(std::move(node));
      return;
    }
    NodeEntry entry = std::move(*level.key);
    level.key.reset();
    entry.value = std::move(node);
    // The parser puts an empty value where the next token is.
    if (entry.value.is_null() && entry.value.mark.line != entry.mark.line)
      entry.value.mark = entry.mark;
    const auto [it, is_new] = level.known.emplace(entry.key, level.node.entries.size());
    if (!is_new) {
      report_duplicate(level.node.entries[it->second], entry);
      return;
    }
    level.node.entries.push_back(std::move(entry));
  }

  void report_duplicate(const NodeEntry& first, const NodeEntry& again) {
    const auto shown = [](const Node& value) {
      return value.is_scalar() ? fmt::format(" ({})", quote(value.text)) : std::string();
    };
    diagnostics_.add(again.mark, fmt::format("key {} given twice, first at {}:{}{}, again here{}",
                                             quote(again.key), first.mark.line, first.mark.column,
                                             shown(first.value), shown(again.value)));
  }

  const SourceText& source_;
  std::string file_;
  Diagnostics& diagnostics_;
  std::vector<Level> open_;
  std::map<YAML::anchor_t, Node> anchors_;
  std::optional<Node> root_;
  std::size_t nodes_ = 0;
  int aliases_ = 0;
  int documents_ = 0;
};

/// A read of more than the limit is an error, so this much is enough to see it.
std::string read_bounded(std::FILE* file, const std::string& path) {
  std::string text;
  char buffer[65536];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, file)) {
    text.append(buffer, n);
    if (text.size() > yaml_limits::kFileBytes) {
      throw ConfigError(Mark{path, 0, 0},
                        fmt::format("larger than {}, this is no configuration file",
                                    format_bytes(yaml_limits::kFileBytes)));
    }
  }
  if (std::ferror(file))
    throw ConfigError(Mark{path, 0, 0}, "cannot be read: " + errno_text(errno));
  return text;
}

}  // namespace

Node read_yaml(std::string_view text, const std::string& file, Diagnostics& diagnostics) {
  const Node nothing = Node::make_map({file, 1, 1});
  if (text.size() > yaml_limits::kFileBytes) {
    diagnostics.add({file, 0, 0},
                    fmt::format("larger than {}", format_bytes(yaml_limits::kFileBytes)));
    return nothing;
  }
  const SourceText source(text, file, diagnostics);
  if (!source.good()) return nothing;
  TreeBuilder builder(source, file, diagnostics);
  try {
    std::istringstream stream(source.text());
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stop&) {
    return nothing;
  } catch (const YAML::Exception& error) {
    diagnostics.add(builder.at(error.mark), "not valid YAML: " + error.msg);
    return nothing;
  }
  return builder.take_root();
}

std::string read_config_file(const std::string& path) {
  constexpr std::string_view kBuiltin = "builtin:";
  if (path.starts_with(kBuiltin)) {
    for (const BuiltinFile& file : builtin_files()) {
      if (file.path == std::string_view(path).substr(kBuiltin.size()))
        return std::string(file.text);
    }
    throw ConfigError(Mark{path, 0, 0}, "there is no such built-in file");
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) throw ConfigError(Mark{path, 0, 0}, "cannot be opened: " + errno_text(errno));
  return read_bounded(file.get(), path);
}

}  // namespace daybreak
