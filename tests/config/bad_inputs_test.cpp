#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "config/solver_config.h"

// Every case of bad_inputs.txt gives exactly the errors written there.

namespace daybreak {
namespace {

struct Case {
  int line = 0;
  std::string kind, name, text, expected;
  std::vector<std::string> sets;
};

constexpr const char* kNet =
    "net: {input: {}, layers: [{conv: {filters: 8}}, flatten, {linear: 10}]}\n";
constexpr const char* kData = "data: {sources: [synthetic]}\n";
constexpr const char* kSchedule = "lr: 0.1\nlength: 1e\n";

/// "=== solver some name +net +data"
Case read_head(const std::string& head, int line, std::string& after) {
  Case result;
  result.line = line;
  std::istringstream words(head.substr(4));
  words >> result.kind;
  for (std::string word; words >> word;) {
    if (word == "+net")
      after += kNet;
    else if (word == "+data")
      after += kData;
    else if (word == "+schedule")
      after += kSchedule;
    else
      result.name += (result.name.empty() ? "" : " ") + word;
  }
  return result;
}

std::vector<Case> read_cases() {
  std::ifstream file(std::string(DAYBREAK_SOURCE_DIR) + "/tests/config/bad_inputs.txt");
  std::vector<Case> cases;
  std::string line, after;
  bool in_text = false;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.starts_with("=== ")) {
      after.clear();
      cases.push_back(read_head(line, number, after));
      in_text = true;
    } else if (cases.empty()) {
      continue;
    } else if (line == "---" && in_text) {
      cases.back().text += after;
      in_text = false;
    } else if (in_text && line.starts_with("--set ")) {
      cases.back().sets.push_back(line.substr(6));
    } else {
      (in_text ? cases.back().text : cases.back().expected) += line + "\n";
    }
  }
  return cases;
}

std::string errors_of(const Case& bad) {
  try {
    if (bad.kind == "solver") {
      load_solver_text(bad.text, "f.yaml", bad.sets);
    } else {
      load_network_text(bad.text, "f.yaml");
    }
  } catch (const ConfigError& error) {
    std::string text;
    for (Diagnostic item : error.diagnostics()) {
      item.notes.clear();
      text += item.to_string() + "\n";
    }
    return text;
  }
  return "no error\n";
}

TEST(BadInputs, GiveExactlyTheirErrors) {
  const std::vector<Case> cases = read_cases();
  ASSERT_GT(cases.size(), 60u);
  for (const Case& bad : cases) {
    EXPECT_EQ(errors_of(bad), bad.expected)
        << "tests/config/bad_inputs.txt:" << bad.line << ": " << bad.name;
  }
}

TEST(BadInputs, EveryErrorHasAPlace) {
  for (const Case& bad : read_cases()) {
    std::istringstream lines(errors_of(bad));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_TRUE(line.starts_with("f.yaml:") || line.starts_with("--set "))
          << bad.name << ": " << line;
    }
  }
}

}  // namespace
}  // namespace daybreak
