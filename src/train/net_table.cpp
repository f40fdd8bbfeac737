#include "train/net_table.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/text.h"
#include "plan/describe.h"
#include "report/table.h"
#include "report/text.h"

namespace daybreak {

std::string layer_table(const Graph& graph, const Plan& plan, bool kernels) {
  std::vector<TableColumn> columns = {{"layer"},
                                      {"operations", Align::left, 44},
                                      {"output"},
                                      {"params", Align::right},
                                      {"FLOP", Align::right}};
  if (kernels) columns.push_back({"kernels", Align::left, 60});
  Table table(columns);
  std::int64_t params = 0, flops = 0;
  for (const LayerSummary& layer : summarize(graph, plan)) {
    params += layer.params;
    flops += layer.flops;
    std::vector<std::string> cells = {layer.name, layer.ops, to_string(layer.output),
                                      with_separators(layer.params),
                                      human_flops(static_cast<double>(layer.flops))};
    if (kernels) cells.push_back(layer.kernels);
    table.add_row(std::move(cells));
  }
  table.add_rule();
  table.add_row({"total", fmt::format("{} layers", table.rows() - 1), "", with_separators(params),
                 human_flops(static_cast<double>(flops))});
  const MemoryReport& memory = plan.memory;
  return table.to_string() +
         fmt::format("memory at batch {}: {} (lower bound {}, ratio {:.3f}; {} without sharing)\n",
                     plan.request.batch, format_bytes(memory.arena_bytes),
                     format_bytes(memory.lower_bound),
                     static_cast<double>(memory.arena_bytes) /
                         static_cast<double>(std::max<std::size_t>(1, memory.lower_bound)),
                     format_bytes(memory.naive_bytes));
}

std::string kernel_table(const Plan& plan, double peak_gflops) {
  Table table({{"layer"},
               {"operation"},
               {"direction"},
               {"kernel", Align::left, 44},
               {"ms", Align::right},
               {"GFLOP/s", Align::right},
               {"of peak", Align::right}});
  double seconds = 0.0, flops = 0.0;
  const auto share = [peak_gflops](double gflops) {
    return peak_gflops > 0.0 ? fmt::format("{:.0f} %", 100.0 * gflops / peak_gflops) : "";
  };
  for (const PlanStep& step : plan.steps) {
    if (step.flops == 0) continue;
    std::vector<std::string> cells = {step.layer, step.op, std::string(to_string(step.pass)),
                                      step.kernel};
    if (step.measured_seconds > 0.0) {
      const double gflops = static_cast<double>(step.flops) / step.measured_seconds * 1e-9;
      cells.push_back(fmt::format("{:.3f}", step.measured_seconds * 1e3));
      cells.push_back(fmt::format("{:.0f}", gflops));
      cells.push_back(share(gflops));
      seconds += step.measured_seconds;
      flops += static_cast<double>(step.flops);
    }
    table.add_row(std::move(cells));
  }
  if (table.rows() == 0) return "";
  std::string note;
  if (seconds > 0.0) {
    const double gflops = flops / seconds * 1e-9;
    table.add_rule();
    table.add_row({"total", "", "", "", fmt::format("{:.3f}", seconds * 1e3),
                   fmt::format("{:.0f}", gflops), share(gflops)});
  } else {
    note = "not measured on this machine yet: --tune on measures, as train does\n";
  }
  return table.to_string() + note;
}

std::string traffic_table(const Traffic& traffic) {
  Table table({{"memory traffic"},
               {"moved", Align::right},
               {"floor", Align::right},
               {"ratio", Align::right}});
  const auto add = [&](const char* name, const PassTraffic& pass) {
    if (pass.moved == 0 && pass.floor == 0) return;
    table.add_row({name, format_bytes(pass.moved), format_bytes(pass.floor),
                   pass.floor > 0 ? fmt::format("{:.2f}", pass.ratio()) : ""});
  };
  add("forward", traffic.forward);
  add("backward", traffic.backward);
  add("update", traffic.update);
  table.add_rule();
  add("a step", traffic.total());
  return table.to_string();
}

std::string describe_json(const Graph& graph, const Plan& plan, const Traffic& traffic,
                          double peak_gflops) {
  nlohmann::ordered_json json;
  std::int64_t params = 0, flops = 0;
  auto layers = nlohmann::ordered_json::array();
  for (const LayerSummary& layer : summarize(graph, plan)) {
    params += layer.params;
    flops += layer.flops;
    layers.push_back({{"name", layer.name},
                      {"operations", layer.ops},
                      {"output", {layer.output.c, layer.output.h, layer.output.w}},
                      {"params", layer.params},
                      {"flops", layer.flops},
                      {"kernels", layer.kernels}});
  }
  json["name"] = graph.name;
  json["params"] = params;
  json["flops_forward_per_sample"] = flops;
  json["batch"] = plan.request.batch;
  json["layers"] = std::move(layers);
  json["arena_bytes"] = plan.memory.arena_bytes;
  json["arena_lower_bound_bytes"] = plan.memory.lower_bound;
  json["arena_naive_bytes"] = plan.memory.naive_bytes;
  const auto bytes = [](const PassTraffic& pass) {
    return nlohmann::ordered_json{{"moved_bytes", pass.moved}, {"floor_bytes", pass.floor}};
  };
  json["traffic"] = {{"forward", bytes(traffic.forward)},
                     {"backward", bytes(traffic.backward)},
                     {"update", bytes(traffic.update)},
                     {"step", bytes(traffic.total())},
                     {"ratio", traffic.total().ratio()}};
  json["peak_gflops"] = peak_gflops;
  auto steps = nlohmann::ordered_json::array();
  for (const PlanStep& step : plan.steps) {
    nlohmann::ordered_json row = {{"layer", step.layer},
                                  {"op", step.op},
                                  {"pass", to_string(step.pass)},
                                  {"kernel", step.kernel}};
    if (step.flops > 0) row["flops"] = step.flops;
    if (step.measured_seconds > 0.0) {
      const double gflops = static_cast<double>(step.flops) / step.measured_seconds * 1e-9;
      row["measured_seconds"] = step.measured_seconds;
      row["gflops"] = gflops;
      if (peak_gflops > 0.0) row["share_of_peak"] = gflops / peak_gflops;
    }
    steps.push_back(std::move(row));
  }
  json["steps"] = std::move(steps);
  return json.dump();
}

}  // namespace daybreak
