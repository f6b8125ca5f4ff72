// Single predictions of RTNeural (compile-time models, Eigen), each timed by itself, as `--bench training -- --table=single` does.
//
//     git clone https://github.com/jatinchowdhury18/RTNeural; apt-get install g++ libeigen3-dev
//     g++ -std=c++17 -O3 -march=native -DNDEBUG -DRTNEURAL_USE_EIGEN=1 -DRTNEURAL_DEFAULT_ALIGNMENT=32 \
//         -I RTNeural -I /usr/include/eigen3 benches/peers/rtneural.cpp -o rtneural
//     taskset -c 1 ./rtneural
//
// Each net ends in its logits, and once more in their softmax.
// `benches/peers/predictions.py` builds it and runs both in turn.

#include <RTNeural/RTNeural.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

using namespace RTNeural;
constexpr int CALLS = 100'000;

// A write that the compiler must take for read elsewhere, and memory that it must take for changed.
static void keep(const void* data) { asm volatile("" : : "g"(data) : "memory"); }

template <typename Call>
void print(const char* name, Call call) {
    for (int i = 0; i < CALLS / 10; ++i) call();
    std::vector<long> times(CALLS);
    for (long& time : times) {
        const auto start = std::chrono::steady_clock::now();
        call();
        time = std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
    }
    std::sort(times.begin(), times.end());
    std::printf("%26s  %12ld  %12ld\n", name, times[CALLS / 2], times[CALLS / 1000 * 999]);
}

// Normal weights of variance 2 / inputs, and zero biases: as He et al. initialise.
template <typename Layer>
void fill(Layer& layer, std::mt19937& random) {
    std::normal_distribution<float> normal(0.0f, std::sqrt(2.0f / Layer::in_size));
    std::vector<std::vector<float>> weights(Layer::out_size, std::vector<float>(Layer::in_size));
    for (auto& row : weights)
        for (float& weight : row) weight = normal(random);
    layer.setWeights(weights);
    layer.setBias(std::vector<float>(Layer::out_size).data());
}

template <typename Model>
void run(const char* name) {
    static Model model;
    std::mt19937 random(1);
    fill(model.template get<0>(), random);
    fill(model.template get<2>(), random);
    alignas(64) static float input[Model::input_size];
    for (int i = 0; i < Model::input_size; ++i) input[i] = i * 7919 % 1000 / 500.0f - 1.0f;
    print(name, [] {
        keep(input);
        model.forward(input);
        keep(model.getOutputs());
    });
}

template <int In, int Hidden, int Out>
void both(const char* name, const char* with_softmax) {
    run<ModelT<float, In, Out, DenseT<float, In, Hidden>, ReLuActivationT<float, Hidden>, DenseT<float, Hidden, Out>>>(name);
    run<ModelT<float, In, Out, DenseT<float, In, Hidden>, ReLuActivationT<float, Hidden>, DenseT<float, Hidden, Out>,
               SoftmaxActivationT<float, Out>>>(with_softmax);
}

int main() {
    std::printf("%26s  %12s  %12s\n", "net", "p50 ns", "p99.9 ns");
    print("nothing", [] {});
    both<8, 8, 2>("8-8-2 relu", "8-8-2 relu softmax");
    both<64, 64, 16>("64-64-16 relu", "64-64-16 relu softmax");
    both<64, 32, 10>("64-32-10 relu", "64-32-10 relu softmax");
}
