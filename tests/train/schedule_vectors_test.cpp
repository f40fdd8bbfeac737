// Published schedules, written as phases or policies, against tables of their values. The tables
// were computed from the sources' formulas in double precision (fastai 0.7, v1, v2; PyTorch;
// Caffe; Darknet), independently of this code.
#include "train/schedule_vectors.h"

#include "train/curves.h"

namespace daybreak {
namespace {

using namespace test;  // NOLINT: the helpers of this test
using Steps = std::vector<std::int64_t>;

const Steps kLong = {0, 1, 1176, 2351, 2352, 2353, 3528, 4703, 4704, 4705, 5292, 5879};

TEST(ScheduleVectors, Phases1CycleAndClrBeta) {
  const Schedule schedule = schedule_of(phases_1cycle(30, 1.3, 20, 20, .95, .85), 196);
  EXPECT_EQ(schedule.total_steps(), 5880);
  expect_vector("lr", kLong,
                {0.065, 0.0655251, 0.6825, 1.29947, 1.3, 1.29947, 0.6825, 0.0655251, 0.065,
                 0.0649453, 0.032825, 0.000704719},
                lr_of(schedule));
  expect_vector(
      "momentum", kLong,
      {0.95, 0.949957, 0.9, 0.850043, 0.85, 0.850043, 0.9, 0.949957, 0.95, 0.95, 0.95, 0.95},
      momentum_of(schedule));
  // fastai's clr_beta reads its momentum one step ahead.
  expect_vector("clr_beta momentum", kLong,
                {0.949957, 0.949915, 0.899957, 0.85, 0.850043, 0.850085, 0.900043, 0.95, 0.95, 0.95,
                 0.95, 0.95},
                [&](std::int64_t step) { return schedule.at((step + 1) % 5880).momentum; });
}

TEST(ScheduleVectors, SeedRunWithThePartialBatchDropped) {
  SolverSpec spec = solver_of(phases_1cycle(30, 1.3, 20, 20, .95, .85));
  spec.batch = 256;
  const Schedule dropped(spec, 50000);
  EXPECT_EQ(dropped.total_steps(), 5850);
  expect_vector("lr", {0, 1, 2339, 2340, 2341, 4680},
                {0.065, 0.0655278, 1.29947, 1.3, 1.29947, 0.065}, lr_of(dropped));
  spec.last_batch = LastBatch::keep;
  EXPECT_EQ(Schedule(spec, 50000).total_steps(), 5880);
}

TEST(ScheduleVectors, Phases1CycleWithFractionalBorders) {
  const Schedule schedule = schedule_of(phases_1cycle(3, 0.01, 10, 10, .95, .85), 782);
  ASSERT_EQ(schedule.phases().size(), 3u);
  EXPECT_EQ(schedule.phases()[0].end_step, 1056);
  EXPECT_EQ(schedule.phases()[1].end_step, 2112);
  EXPECT_EQ(schedule.phases()[2].end_step, 2346);
  const Steps at = {0, 1, 528, 1055, 1056, 1057, 1584, 2111, 2112, 2113, 2229, 2345};
  expect_vector("lr", at,
                {0.001, 0.00100853, 0.00550128, 0.00999403, 0.01, 0.00999147, 0.00549872,
                 0.00100597, 0.001, 0.00099578, 0.000506266, 1.67519e-05},
                lr_of(schedule));
  expect_vector("momentum", at,
                {0.95, 0.949905, 0.899986, 0.850066, 0.85, 0.850095, 0.900014, 0.949934, 0.95, 0.95,
                 0.95, 0.95},
                momentum_of(schedule));
}

TEST(ScheduleVectors, UseClr) {
  // use_clr(div 10, cut_div 8, .95, .85), lr 0.01: up over N // 8 steps, then down.
  const int n = 782, cut = n / 8;
  const Schedule schedule =
      schedule_of({phase(steps(cut), {0.001, 0.01}, {.95, .85}, Curve::linear),
                   phase(steps(n), {0.01, 0.001}, {.85, .95}, Curve::linear)},
                  n);
  const Steps at = {0, 1, 48, 96, 97, 98, 200, 391, 500, 600, 780, 781};
  expect_vector("lr", at,
                {0.001, 0.00109278, 0.00545361, 0.00990722, 0.01, 0.00998686, 0.00864672,
                 0.00613723, 0.00470511, 0.00339124, 0.00102628, 0.00101314},
                lr_of(schedule));
  expect_vector("momentum, one step ahead", at,
                {0.948969, 0.947938, 0.899485, 0.85, 0.850146, 0.850292, 0.865182, 0.893066,
                 0.908978, 0.923577, 0.949854, 0.95},
                [&](std::int64_t step) { return schedule.at((step + 1) % n).momentum; });
}

TEST(ScheduleVectors, CosineOneCycleOfFastai1) {
  const double high = 1.3, last = high / (25 * 1e4);
  const Schedule schedule =
      schedule_of({phase(steps(1764), {high / 25, high}, {.95, .85}, Curve::cosine),
                   phase(steps(5880), {high, last}, {.85, .95}, Curve::cosine)},
                  196);
  expect_vector("lr", kLong,
                {0.052, 0.052001, 0.988, 1.23585, 1.23563, 1.23541, 0.794641, 0.245124, 0.244736,
                 0.244348, 0.0643752, 5.38933e-06},
                lr_of(schedule));
  expect_vector("momentum", kLong,
                {0.95, 0.95, 0.875, 0.854935, 0.854952, 0.854968, 0.888874, 0.931145, 0.931174,
                 0.931204, 0.945048, 0.95},
                momentum_of(schedule));
}

TEST(ScheduleVectors, CosineOneCycleOfFastai2) {
  const double high = 1.3;
  const Schedule schedule =
      schedule_of({phase(epochs(7.5), {high / 25, high}, {.95, .85}, Curve::cosine),
                   phase(epochs(30), {high, high / 1e5}, {.85, .95}, Curve::cosine)},
                  196);
  expect_vector("lr", kLong,
                {0.052, 0.0520014, 1.18083, 1.17613, 1.17586, 1.17559, 0.717949, 0.21542, 0.215076,
                 0.214732, 0.0562079, 1.31649e-05},
                lr_of(schedule));
  expect_vector("momentum", kLong,
                {0.95, 0.95, 0.859549, 0.859528, 0.859549, 0.85957, 0.894774, 0.93343, 0.933457,
                 0.933483, 0.945677, 0.95},
                momentum_of(schedule));
}

TEST(ScheduleVectors, FlatThenCosineOfFastai2) {
  PhaseSpec flat;
  flat.until = epochs(22.5);
  flat.lr = Ramp{1.3, std::nullopt};
  const Schedule schedule =
      schedule_of({flat, phase(epochs(30), {1.3, 1.3 / 1e5}, {.9, .9}, Curve::cosine)}, 196);
  expect_vector(
      "lr", kLong,
      {1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.17668, 1.17586, 1.17504, 0.449147, 1.44844e-05},
      lr_of(schedule));
}

TEST(ScheduleVectors, OneCycleLrOfPyTorch) {
  // Its phases end at pct N - 1 and N - 1, so that the last step has exactly the final rate.
  const double high = 1.3, last = high / (25 * 1e4);
  const Schedule schedule =
      schedule_of({phase(steps(1763), {high / 25, high}, {.95, .85}, Curve::cosine),
                   phase(steps(5879), {high, last}, {.85, .95}, Curve::cosine),
                   phase(steps(5880), {last, last}, {.95, .95}, Curve::constant)},
                  196);
  expect_vector("lr", kLong,
                {0.052, 0.052001, 0.988642, 1.23563, 1.23541, 1.2352, 0.794157, 0.244736, 0.244348,
                 0.243961, 0.0641601, 5.2e-06},
                lr_of(schedule));
  expect_vector("momentum", kLong,
                {0.95, 0.95, 0.874949, 0.854952, 0.854968, 0.854985, 0.888911, 0.931174, 0.931204,
                 0.931234, 0.945065, 0.95},
                momentum_of(schedule));
}

TEST(ScheduleVectors, Decays) {
  const Steps at = {0, 1, 10, 25, 37, 50, 75, 100, 112, 125, 148, 149};
  struct Case {
    Curve curve;
    double end, power;
    std::vector<double> expected;
  };
  const std::vector<Case> cases = {
      {Curve::linear,
       .001,
       0,
       {0.01, 0.00994, 0.0094, 0.0085, 0.00778, 0.007, 0.0055, 0.004, 0.00328, 0.0025, 0.00112,
        0.00106}},
      {Curve::cosine,
       .001,
       0,
       {0.01, 0.00999901, 0.00990166, 0.00939711, 0.00871513, 0.00775, 0.0055, 0.00325, 0.00235151,
        0.00160289, 0.00100395, 0.00100099}},
      {Curve::exponential,
       .001,
       0,
       {0.01, 0.00984767, 0.00857696, 0.00681292, 0.00566674, 0.00464159, 0.00316228, 0.00215443,
        0.00179198, 0.0014678, 0.00103118, 0.00101547}},
      {Curve::polynomial,
       .001,
       0.5,
       {0.01, 0.00996995, 0.00969483, 0.00921584, 0.00881153, 0.00834847, 0.00736396, 0.00619615,
        0.0055299, 0.00467423, 0.00203923, 0.00173485}},
      {Curve::polynomial,
       .001,
       0.9,
       {0.01, 0.00994598, 0.00945815, 0.008638, 0.00797479, 0.00724828, 0.00582298, 0.00434837,
        0.00361557, 0.00279435, 0.00118479, 0.00109903}},
      {Curve::polynomial,
       .001,
       2,
       {0.01, 0.0098804, 0.00884, 0.00725, 0.0061076, 0.005, 0.00325, 0.002, 0.0015776, 0.00125,
        0.0010016, 0.0010004}},
      {Curve::cosine,
       0,
       0,
       {0.01, 0.0099989, 0.00989074, 0.00933013, 0.00857236, 0.0075, 0.005, 0.0025, 0.00150168,
        0.000669873, 4.38585e-06, 1.09658e-06}},
  };
  for (const Case& one : cases) {
    PhaseSpec spec = phase(epochs(1.5), {.01, one.end}, {.9, .9}, one.curve);
    spec.power = one.power;
    const Schedule schedule = schedule_of({spec}, 100);
    EXPECT_EQ(schedule.total_steps(), 150);
    expect_vector(to_string(one.curve), at, one.expected, lr_of(schedule));
  }
}

std::vector<PhaseSpec> phases_sgdr() {
  PhaseSpec warm;
  warm.until = epochs(1.0 / 20);
  warm.lr = Ramp{0.01 / 100, std::nullopt};
  return {warm, phase(epochs(1), {.01, 0}, {.9, .9}, Curve::cosine),
          phase(epochs(3), {.01, 0}, {.9, .9}, Curve::cosine)};
}

TEST(ScheduleVectors, Sgdr) {
  const Schedule schedule = schedule_of(phases_sgdr(), 782);
  ASSERT_EQ(schedule.phases().size(), 3u);
  EXPECT_EQ(schedule.phases()[0].end_step, 40);
  EXPECT_EQ(schedule.phases()[1].end_step, 782);
  EXPECT_EQ(schedule.total_steps(), 2346);
  expect_vector("lr", {0, 39, 40, 41, 200, 411, 600, 781, 782, 1173, 1564, 2345},
                {0.0001, 0.0001, 0.01, 0.00999996, 0.00889849, 0.00500951, 0.00142248, 1.61393e-07,
                 0.01, 0.00853553, 0.005, 1.00871e-08},
                lr_of(schedule));
}

TEST(ScheduleVectors, SgdrOfDarknet) {
  // Cycles of 1000, 2000, 4000 steps. Darknet gives the minimum at it = start + c itself, where a
  // new phase of ours begins at its start value; all other iterations agree.
  std::vector<PhaseSpec> phases;
  double until = 0;
  for (double cycle : {1000.0, 2000.0, 4000.0}) {
    until += cycle;
    phases.push_back(phase(steps(until), {.01, 1e-5}, {.9, .9}, Curve::cosine));
  }
  const Schedule schedule = schedule_of(phases, 500);
  expect_vector(
      "lr", {1, 250, 500, 750, 999, 1001, 1500, 2000, 3001},
      {0.00999998, 0.008537, 0.005005, 0.001473, 1.00246e-05, 0.00999999, 0.008537, 0.005005, 0.01},
      lr_of(schedule));
}

PolicySpec policy(PolicyKind kind, double lr, double gamma) {
  PolicySpec spec;
  spec.kind = kind;
  spec.lr = lr;
  spec.gamma = gamma;
  spec.length = steps(1000);
  return spec;
}

Schedule policy_schedule(const PolicySpec& policy) {
  SolverSpec spec;
  spec.batch = 1;
  spec.policy = policy;
  return Schedule(spec, 100);
}

TEST(ScheduleVectors, CaffePolicies) {
  const Steps at = {0, 1, 50, 99, 100, 101, 150, 200, 250, 499, 500, 999};
  PolicySpec step = policy(PolicyKind::step, .1, .5);
  step.every = 100;
  PolicySpec steps_policy = policy(PolicyKind::steps, .1, .1);
  steps_policy.at = {100, 500};
  PolicySpec poly = policy(PolicyKind::polynomial, .1, 0);
  poly.power = 2;
  PolicySpec inverse = policy(PolicyKind::inverse, .01, 1e-4);
  inverse.power = .75;
  PolicySpec caffe = policy(PolicyKind::sigmoid, .1, .02),
             darknet = policy(PolicyKind::sigmoid, .1, -.02);
  caffe.every = darknet.every = 250;
  const auto expect_policy = [&](const std::string& name, const PolicySpec& spec,
                                 const std::vector<double>& expected) {
    const Schedule schedule = policy_schedule(spec);
    EXPECT_EQ(schedule.total_steps(), 1000);
    expect_vector(name, at, expected, lr_of(schedule));
    expect_vector(name + " momentum", {0, 500, 999}, {.9, .9, .9}, momentum_of(schedule));
  };
  expect_policy(
      "step", step,
      {0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.00625, 0.003125, 0.000195313});
  expect_policy("steps", steps_policy,
                {0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001});
  expect_policy("exponential", policy(PolicyKind::exponential, .1, .99),
                {0.1, 0.099, 0.0605006, 0.036973, 0.0366032, 0.0362372, 0.0221452, 0.013398,
                 0.00810585, 0.000663685, 0.000657048, 4.36073e-06});
  expect_policy("polynomial", poly,
                {0.1, 0.0998001, 0.09025, 0.0811801, 0.081, 0.0808201, 0.07225, 0.064, 0.05625,
                 0.0251001, 0.025, 1e-07});
  expect_policy("inverse", inverse,
                {0.01, 0.00999925, 0.00996266, 0.00992639, 0.00992565, 0.00992491, 0.00988896,
                 0.00985258, 0.00981651, 0.00964138, 0.00964069, 0.00931076});
  expect_policy("sigmoid", caffe,
                {0.000669285, 0.000682713, 0.00179862, 0.00465305, 0.00474259, 0.00483376,
                 0.0119203, 0.0268941, 0.05, 0.0993173, 0.0993307, 0.1});
  expect_policy("sigmoid of Darknet", darknet,
                {0.0993307, 0.0993173, 0.0982014, 0.095347, 0.0952574, 0.0951662, 0.0880797,
                 0.0731059, 0.05, 0.000682713, 0.000669285, 3.12082e-08});
}

TEST(ScheduleVectors, DarknetPoliciesWithBurnIn) {
  // Darknet counts iterations from 1: the first update uses it = 1.
  PolicySpec yolo = policy(PolicyKind::steps, .001, .1);
  yolo.burn_in = 1000;
  yolo.at = {400000, 450000};
  yolo.length = steps(500200);
  const Schedule yolov3 = policy_schedule(yolo);
  expect_vector(
      "yolov3", {1, 10, 100, 500, 999, 1000, 1001, 399999, 400000, 449999, 450000, 500200},
      {1e-15, 1e-11, 1e-07, 6.25e-05, 0.000996006, 0.001, 0.001, 0.001, 0.0001, 0.0001, 1e-05,
       1e-05},
      [&](std::int64_t it) { return yolov3.at(it - 1).lr; }, Compare::ratio);
  PolicySpec poly = policy(PolicyKind::polynomial, .1, 0);
  poly.burn_in = 1000;
  poly.power = 4;
  poly.length = steps(800000);
  const Schedule darknet53 = policy_schedule(poly);
  expect_vector(
      "darknet53",
      {1, 10, 100, 500, 999, 1000, 1001, 100000, 200000, 400000, 600000, 790000, 800000},
      {1e-13, 1e-09, 1e-05, 0.00625, 0.0996006, 0.0995009, 0.0995004, 0.0586182, 0.0316406, 0.00625,
       0.000390625, 2.44141e-09, 0.0},
      [&](std::int64_t it) { return darknet53.at(it - 1).lr; }, Compare::ratio);
}

}  // namespace
}  // namespace daybreak
