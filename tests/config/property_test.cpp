#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "config/builtin.h"
#include "config/solver_config.h"
#include "config/solver_schema.h"

// What must hold for any text: no crash, every rejection has a place, what is accepted prints to
// something that reads back; and typing errors get the right hint.

namespace daybreak {
namespace {

class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  std::string mutate(std::string text) {
    for (std::size_t edits = 1 + below(3); edits > 0; --edits) edit(text);
    return text;
  }
  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }

 private:
  void edit(std::string& text) {
    static const std::string kPieces[] = {
        "{",     "}",        "[",    "]",    ":",        ": ",      ",",
        "-",     "- ",       "\n",   "  ",   "#",        "\"",      "'",
        "&a ",   "*a",       "!!x ", "~",    "null",     "1e999",   "-1",
        "0",     "0x1",      ".nan", "<<: ", "_base_: ", "\t",      std::string(1, '\0'),
        "\xC3",  "é",        "? ",   "| ",   "> ",       "%",       "---\n",
        "...\n", "repeat: ", "1e",   "400s", "${",       "${HOME}", "builtin:"};
    const std::size_t at = below(text.size() + 1);
    switch (below(5)) {
      case 0:
        text.erase(at, 1 + below(8));
        return;
      case 1:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        return;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        return;
      case 3:
        text.insert(at, text.substr(below(text.size()), below(40)));
        return;
      default:
        text.resize(at);
        return;
    }
  }

  std::mt19937 random_;
};

void check_rejection(const ConfigError& error, const std::string& text) {
  EXPECT_FALSE(error.diagnostics().empty());
  for (const Diagnostic& item : error.diagnostics()) {
    EXPECT_FALSE(item.mark.file.empty()) << item.text << "\n" << text;
    EXPECT_FALSE(item.text.empty());
    EXPECT_EQ(item.to_string().find('\n'),
              item.notes.empty() ? std::string::npos : item.to_string().find("\n    "));
  }
}

struct Outcome {
  int accepted = 0, rejected = 0;
};

Outcome try_mutations(const std::string& path, const std::string& original, std::uint32_t seed,
                      int count) {
  const bool solver = path.starts_with("cfg/solver/");
  const std::string file = std::string(DAYBREAK_SOURCE_DIR) + "/" + path;
  Mutator mutator(seed);
  Outcome outcome;
  for (int i = 0; i < count; ++i) {
    const std::string text = mutator.mutate(original);
    try {
      if (solver) {
        const std::string printed = print_config(load_solver_text(text, file));
        EXPECT_EQ(print_config(load_solver_text(printed, file)), printed) << text;
      } else {
        const std::string printed = print_network(load_network_text(text, file));
        EXPECT_EQ(print_network(load_network_text(printed, file)), printed) << text;
      }
      ++outcome.accepted;
    } catch (const ConfigError& error) {
      check_rejection(error, text);
      ++outcome.rejected;
    }
  }
  return outcome;
}

TEST(AnyText, NeitherCrashesNorLosesItsPlace) {
  Outcome total;
  std::uint32_t seed = 1;
  for (const BuiltinFile& file : builtin_files()) {
    const std::string path(file.path);
    if (!path.starts_with("cfg/")) continue;
    const Outcome outcome = try_mutations(path, std::string(file.text), seed++, 150);
    total.accepted += outcome.accepted;
    total.rejected += outcome.rejected;
  }
  EXPECT_GT(total.accepted, 100) << "the mutations are too wild to test printing";
  EXPECT_GT(total.rejected, 500) << "the mutations are too tame to test errors";
}

TEST(AnyText, CutFilesAreHandled) {
  for (const BuiltinFile& file : builtin_files()) {
    const std::string path(file.path);
    if (!path.starts_with("cfg/solver/")) continue;
    for (std::size_t n = 0; n < file.text.size(); n += 7) {
      const std::string text(file.text.substr(0, n));
      try {
        load_solver_text(text, std::string(DAYBREAK_SOURCE_DIR) + "/" + path);
      } catch (const ConfigError& error) {
        check_rejection(error, text);
      }
    }
  }
}

/// One edit: a letter left out, doubled, replaced, or two swapped.
std::string typo(const std::string& word, std::size_t kind, std::size_t at) {
  std::string result = word;
  if (kind == 0) result.erase(at, 1);
  if (kind == 1) result.insert(at, 1, word[at]);
  if (kind == 2) result[at] = word[at] == 'x' ? 'y' : 'x';
  if (kind == 3 && at + 1 < word.size()) std::swap(result[at], result[at + 1]);
  return result;
}

TEST(Hints, OneEditTyposNameTheRightKey) {
  const std::vector<std::string> keys = solver_schema().keys();
  int asked = 0, right = 0;
  for (const std::string& key : keys) {
    for (std::size_t kind = 0; kind < 4; ++kind) {
      for (std::size_t at = 0; at < key.size(); ++at) {
        const std::string wrong = typo(key, kind, at);
        if (std::find(keys.begin(), keys.end(), wrong) != keys.end()) continue;
        ++asked;
        right += hint(wrong, keys) == fmt::format(", did you mean \"{}\"?", key);
      }
    }
  }
  EXPECT_GT(asked, 300);
  EXPECT_GE(right, asked * 95 / 100) << right << " of " << asked;
}

}  // namespace
}  // namespace daybreak
