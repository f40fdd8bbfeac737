#include "interop/run_imported.h"

#include <map>
#include <string>

#include "backend/backend.h"
#include "config/network_spec.h"
#include "layers/build_graph.h"
#include "plan/executor.h"

namespace daybreak::test {

std::vector<std::vector<float>> run_imported(const DarknetImport& import,
                                             const std::vector<double>& input, bool on_cpu) {
  Diagnostics diagnostics;
  const NetworkSpec net = parse_network(import.net.network, diagnostics);
  diagnostics.throw_if_any();
  BuildOptions options;
  options.with_loss = false;
  options.float_input = true;
  const BackendPtr backend = on_cpu ? make_cpu_backend(1) : make_ref_backend();
  Executor executor(build_graph(net, options), *backend);
  const Graph& graph = executor.graph();
  PlanRequest request;
  request.mode = Mode::eval;
  for (const DetectionHead& head : graph.heads) request.keep.push_back(head.raw);
  request.keep.push_back(graph.prediction);
  const PlanId plan = executor.add_plan(request);
  executor.prepare();
  std::map<std::string, const ImportedTensor*> tensors;
  for (const ImportedTensor& tensor : import.tensors) tensors[tensor.name] = &tensor;
  for (std::size_t p = 0; p < graph.params.size(); ++p) {
    executor.params().write_weight(static_cast<ParamId>(p),
                                   tensors.at(graph.params[p].name)->values);
  }
  const std::vector<float> image(input.begin(), input.end());
  executor.upload(plan, InputRole::image, image.data(), image.size() * sizeof(float));
  executor.forward(plan);
  std::vector<std::vector<float>> results;
  for (const ValueId value : request.keep) executor.read(plan, value, results.emplace_back());
  return results;
}

}  // namespace daybreak::test
