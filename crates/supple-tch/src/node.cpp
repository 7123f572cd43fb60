// The autograd node of every operator. Rust computes; this file keeps the graph: it saves inputs and
// outputs, calls the pullback that Rust has boxed, and under `create_graph` records the gradients in turn.

#include <ATen/ops/from_blob.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/basic_ops.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using at::Tensor;
using torch::autograd::edge_list;
using torch::autograd::Node;
using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

// The types that cross the border: `src/bridge.rs` has their twins.
extern "C" {

// An array that somebody else owns.
struct View {
  const void* data;
  const int64_t* shape;
  const int64_t* strides;
  size_t rank;
};

// An array that Rust gives away.
struct Array {
  void* data;
  const int64_t* shape;
  const int64_t* strides;
  size_t rank;
  void* owner;
  void (*release)(void* owner);
};

// A boxed pullback and its methods. They return false and write `message` where they fail.
struct Callbacks {
  void* pullback;
  bool (*vjp)(const void* pullback, const View* x, const View* y, const View* dy, Array* dx, void* message);
  bool (*vjp_derivative)(const void* pullback, const View* x, const View* y, const View* dy, const View* v,
                         Array* jv, Array* hv, void* message);
  void (*drop)(void* pullback);
  int8_t kind;
};
}

namespace {

// A dense tensor on the host whose memory holds its values: no lazy negation, no lazy zeros.
Tensor plain(Tensor tensor) {
  TORCH_CHECK(tensor.layout() == at::kStrided, "a tensor must be dense, got layout ", tensor.layout());
  if (tensor._is_zerotensor()) tensor = tensor.clone();
  if (tensor.is_neg()) tensor = tensor.resolve_neg();
  // Axes may be permuted: the engine reads those without a copy where they suit the operator.
  return tensor.is_non_overlapping_and_dense() ? tensor : tensor.contiguous();
}

View view(const Tensor& tensor) {
  return {tensor.const_data_ptr(), tensor.sizes().data(), tensor.strides().data(), tensor.sizes().size()};
}

// Takes the array's memory without a copy.
Tensor adopt(const Array& array, at::ScalarType kind) {
  return at::for_blob(array.data, {array.shape, array.rank})
      .strides(at::IntArrayRef(array.strides, array.rank))
      .context(array.owner, array.release)
      .options(at::TensorOptions(kind))
      .make_tensor();
}

variable_list adopt(const std::vector<Array>& arrays, at::ScalarType kind) {
  variable_list tensors;
  tensors.reserve(arrays.size());
  for (const Array& array : arrays) tensors.push_back(adopt(array, kind));
  return tensors;
}

// Plain tensors, kept alive, and their views.
struct Views {
  explicit Views(const variable_list& given) {
    tensors.reserve(given.size());
    views.reserve(given.size());
    for (const Tensor& tensor : given) {
      tensors.push_back(plain(tensor));
      views.push_back(view(tensors.back()));
    }
  }
  operator const View*() const { return views.data(); }

  variable_list tensors;
  std::vector<View> views;
};

std::vector<SavedVariable> save(const variable_list& tensors, bool outputs) {
  std::vector<SavedVariable> saved;
  saved.reserve(tensors.size());
  for (const Tensor& tensor : tensors) saved.emplace_back(tensor, outputs);
  return saved;
}

variable_list unpack(const std::vector<SavedVariable>& saved, const std::shared_ptr<Node>& node = nullptr) {
  variable_list tensors;
  tensors.reserve(saved.size());
  for (const SavedVariable& variable : saved) tensors.push_back(variable.unpack(node));
  return tensors;
}

void reset(std::vector<SavedVariable>& saved) {
  for (SavedVariable& variable : saved) variable.reset_data();
}

template <typename N, typename... Args>
std::shared_ptr<N> make_node(Args&&... args) {
  return std::shared_ptr<N>(new N(std::forward<Args>(args)...), torch::autograd::deleteNode);
}

// The derivatives of one call. Shared between the node and those that differentiate it again; freed with
// the last of them.
class Pullback {
 public:
  Pullback(const Callbacks& rust, std::string name, std::string refusal)
      : name(std::move(name)), refusal(std::move(refusal)), rust_(rust) {}
  Pullback(const Pullback&) = delete;
  ~Pullback() { rust_.drop(rust_.pullback); }

  variable_list vjp(const variable_list& x, const variable_list& y, const variable_list& dy) const {
    at::NoGradGuard no_grad;
    std::vector<Array> dx(x.size());
    std::string message;
    if (!rust_.vjp(rust_.pullback, Views(x), Views(y), Views(dy), dx.data(), &message)) {
      throw std::runtime_error(message);
    }
    return adopt(dx, kind());
  }

  // The gradients of `vjp` to dy and to x, one list.
  variable_list vjp_derivative(const variable_list& x, const variable_list& y, const variable_list& dy,
                               const variable_list& v) const {
    at::NoGradGuard no_grad;
    std::vector<Array> jv(y.size());
    std::vector<Array> hv(x.size());
    std::string message;
    if (!rust_.vjp_derivative(rust_.pullback, Views(x), Views(y), Views(dy), Views(v), jv.data(), hv.data(),
                              &message)) {
      throw std::runtime_error(message);
    }
    variable_list gradients = adopt(jv, kind());
    for (Tensor& gradient : adopt(hv, kind())) gradients.push_back(std::move(gradient));
    return gradients;
  }

  const std::string name;
  // Why second derivatives are refused; empty where they are not.
  const std::string refusal;

 private:
  at::ScalarType kind() const { return static_cast<at::ScalarType>(rust_.kind); }

  const Callbacks rust_;
};

// A node that holds a pullback, tensors, and leaves out gradients that nobody wants.
class Base : public Node {
 public:
  Base(edge_list&& edges, std::shared_ptr<Pullback> pullback)
      : Node(std::move(edges)), name_(pullback->name), pullback_(std::move(pullback)) {}

 protected:
  void drop_unwanted(variable_list& gradients) const {
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!task_should_compute_output(i)) gradients[i] = Tensor();
    }
  }

  const std::string name_;
  std::shared_ptr<Pullback> pullback_;
};

// dx = J(x)ᵀ dy as a function of dy and x, for double backward.
class DoubleBackward final : public Base {
 public:
  DoubleBackward(edge_list&& edges, std::shared_ptr<Pullback> pullback, const variable_list& x,
                 const variable_list& y, const variable_list& dy)
      : Base(std::move(edges), std::move(pullback)), x_(save(x, false)), y_(save(y, false)), dy_(save(dy, false)) {}

  std::string name() const override { return "DoubleBackward<" + name_ + ">"; }

  variable_list apply(variable_list&& v) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto x = unpack(x_);
    const auto y = unpack(y_);
    const auto dy = unpack(dy_);
    for (size_t i = 0; i < v.size(); ++i) {
      if (!v[i].defined()) v[i] = at::zeros_like(x[i]);
    }
    auto gradients = pullback_->vjp_derivative(x, y, dy, v);
    drop_unwanted(gradients);
    if (at::GradMode::is_enabled()) {
      const auto message = name_ + ": third derivatives are not available";
      auto edges = torch::autograd::collect_next_edges(v, dy, x);
      torch::autograd::set_history(gradients, make_node<torch::autograd::Error>(message, std::move(edges)));
    }
    return gradients;
  }

  void release_variables() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    reset(x_);
    reset(y_);
    reset(dy_);
    pullback_.reset();
  }

 private:
  std::vector<SavedVariable> x_, y_, dy_;
};

// y = f(x).
class Backward final : public Base {
 public:
  using Base::Base;

  // Saves the outputs after they know this node, lest they keep it alive for ever.
  void save_variables(const variable_list& x, const variable_list& y) {
    x_ = save(x, false);
    y_ = save(y, true);
  }

  std::string name() const override { return "Backward<" + name_ + ">"; }

  variable_list apply(variable_list&& dy) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto x = unpack(x_);
    const auto y = unpack(y_, getptr());
    for (size_t i = 0; i < dy.size(); ++i) {
      if (!dy[i].defined()) dy[i] = input_metadata(i).zeros_like();
    }
    auto dx = pullback_->vjp(x, y, dy);
    drop_unwanted(dx);
    if (at::GradMode::is_enabled()) torch::autograd::set_history(dx, differentiable(x, y, dy));
    return dx;
  }

  void release_variables() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    reset(x_);
    reset(y_);
    pullback_.reset();
  }

 private:
  std::shared_ptr<Node> differentiable(const variable_list& x, const variable_list& y, const variable_list& dy) {
    auto edges = torch::autograd::collect_next_edges(dy, x);
    if (!pullback_->refusal.empty()) {
      return make_node<torch::autograd::Error>(pullback_->refusal, std::move(edges));
    }
    return make_node<DoubleBackward>(std::move(edges), pullback_, x, y, dy);
  }

  std::vector<SavedVariable> x_, y_;
};

// Runs `action`; what went wrong, or null. The text lives until the thread's next call.
template <typename F>
const char* guarded(F&& action) {
  thread_local std::string message;
  try {
    action();
    return nullptr;
  } catch (const c10::Error& error) {
    message = error.what_without_backtrace();
  } catch (const std::exception& error) {
    message = error.what();
  } catch (...) {
    message = "an exception of unknown type";
  }
  return message.c_str();
}

variable_list copies(const Tensor* const* tensors, size_t count) {
  variable_list list;
  list.reserve(count);
  for (size_t i = 0; i < count; ++i) list.push_back(*tensors[i]);
  return list;
}

}  // namespace

extern "C" {

// Whether a call on these tensors belongs in the graph.
bool supple_tch_needs_grad(const Tensor* const* tensors, size_t count) {
  bool any = false;
  for (size_t i = 0; i < count; ++i) any = any || tensors[i]->requires_grad();
  return any && at::GradMode::is_enabled();
}

// Opens a tensor for reading: `keeper` owns the memory that `out` shows.
const char* supple_tch_read(const Tensor* tensor, Tensor** keeper, View* out) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    *keeper = new Tensor(plain(*tensor));
    *out = view(**keeper);
  });
}

// Turns an array into a tensor.
const char* supple_tch_adopt(const Array* array, int8_t kind, Tensor** out) {
  return guarded([&] { *out = new Tensor(adopt(*array, static_cast<at::ScalarType>(kind))); });
}

// Makes `y` the differentiable function of `x` whose pullback this is. Takes the pullback in any case.
const char* supple_tch_record(const Tensor* const* x, size_t inputs, const Tensor* const* y, size_t outputs,
                              const Callbacks* rust, const char* name, const char* refusal) {
  return guarded([&] {
    auto pullback = std::make_shared<Pullback>(*rust, name, refusal);
    const auto in = copies(x, inputs);
    const auto out = copies(y, outputs);
    auto node = make_node<Backward>(torch::autograd::collect_next_edges(in), std::move(pullback));
    torch::autograd::set_history(out, node);
    node->save_variables(in, out);
  });
}

// Writes a message from Rust.
void supple_tch_say(void* message, const char* text, size_t length) {
  static_cast<std::string*>(message)->assign(text, length);
}
}
