#pragma once

#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace daybreak {

/// A strict check that a text is one well-formed XML element (with an optional doctype): tags nest
/// and close, attributes are quoted and not repeated, "<" and "&" occur only as markup. Returns
/// what is wrong, or an empty text. Enough for what we write; no CDATA, comments or processing
/// instructions.
class XmlCheck {
 public:
  explicit XmlCheck(std::string_view text) : text_(text) {}

  std::string error() {
    if (text_.starts_with("<!DOCTYPE html>")) at_ = 15;
    while (error_.empty() && at_ < text_.size()) {
      if (text_[at_] == '<') {
        tag();
      } else {
        characters();
      }
    }
    if (error_.empty() && !open_.empty()) fail("not closed: " + open_.back());
    if (error_.empty() && roots_ != 1) fail("not one root element");
    return error_;
  }

 private:
  void fail(const std::string& what) {
    if (error_.empty()) error_ = what + " at byte " + std::to_string(at_);
  }
  bool take(std::string_view piece) {
    if (!text_.substr(at_).starts_with(piece)) return false;
    at_ += piece.size();
    return true;
  }
  void spaces() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  std::string name() {
    std::string out;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) ||
                                  text_[at_] == '-' || text_[at_] == ':')) {
      out += text_[at_++];
    }
    if (out.empty()) fail("a name was expected");
    return out;
  }
  void entity() {
    const std::size_t end = text_.find(';', at_);
    static const std::set<std::string_view> kKnown = {"&amp",  "&lt",  "&gt",
                                                      "&quot", "&#39", "&#160"};
    if (end == std::string_view::npos || !kKnown.contains(text_.substr(at_, end - at_))) {
      fail("a bare ampersand");
    } else {
      at_ = end + 1;
    }
  }
  void characters() {
    const char c = text_[at_];
    if (c == '&') {
      entity();
      return;
    }
    if (open_.empty() && !std::isspace(static_cast<unsigned char>(c))) fail("text outside");
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') fail("a control character");
    ++at_;
  }
  void attributes() {
    std::set<std::string> seen;
    for (spaces(); error_.empty() && at_ < text_.size() && text_[at_] != '>' && text_[at_] != '/';
         spaces()) {
      const std::string attribute = name();
      if (!seen.insert(attribute).second) fail("twice: " + attribute);
      if (!take("=\"")) fail("=\" was expected");
      while (error_.empty() && at_ < text_.size() && text_[at_] != '"') {
        if (text_[at_] == '<') fail("< in an attribute");
        characters();
      }
      if (!take("\"")) fail("an open attribute");
    }
  }
  void tag() {
    if (take("</")) {
      const std::string closed = name();
      if (open_.empty() || open_.back() != closed) {
        fail("closed but not open: " + closed);
      } else {
        open_.pop_back();
      }
      if (!take(">")) fail("> was expected");
      return;
    }
    take("<");
    const std::string opened = name();
    if (open_.empty()) ++roots_;
    open_.push_back(opened);
    attributes();
    if (take("/>")) {
      open_.pop_back();
    } else if (!take(">")) {
      fail("> was expected");
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int roots_ = 0;
  std::vector<std::string> open_;
  std::string error_;
};

}  // namespace daybreak
