// One pass over memory: a loop over the numbers of arrays, as a function that XLA calls.
//
// What is done to each number is in `numbers.h`, which loop.py writes: `ARRAYS`, `SCALARS`,
// `OUTPUTS`, and
//
//     numbers(in, out, at, begin, end)
//
// for the numbers from `begin` to `end`, with the scalars at `at`. A call takes many sets of arrays,
// one after the other, then the scalars, and returns as many sets. Of a scalar there is one for each
// member of a population, or for each of its sets as well. The last is not read: of it there is one
// for each member, and so they are counted.
//
// The threads are XLA's. Whoever is free takes the next span of numbers; the caller takes part, so
// that it waits for nothing but spans that somebody works on. Helpers may come late, when all is
// done and the arrays are gone: the last one to leave frees what they share.

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "numbers.h"
#include "xla/ffi/api/c_api.h"

// As many numbers as take longer than to call a thread.
#define SPAN 65536

typedef struct {
  XLA_FFI_CallFrame *frame;
  int64_t members, spans;
  atomic_llong next, done;
  atomic_long users;
  int64_t ends[];  // for each set, the spans of all sets up to it
} Work;

static int64_t numbers_in(const XLA_FFI_Buffer *buffer) {
  int64_t count = 1;
  for (int64_t i = 0; i < buffer->rank; i++) count *= buffer->dims[i];
  return count;
}

static void do_span(const Work *work, int64_t set, int64_t span, int64_t spans) {
  XLA_FFI_Buffer **args = (XLA_FFI_Buffer **)work->frame->args.args;
  XLA_FFI_Buffer **rets = (XLA_FFI_Buffer **)work->frame->rets.rets;
  void *in[ARRAYS + SCALARS], *out[OUTPUTS];
  int64_t at[SCALARS];
  for (int i = 0; i < ARRAYS; i++) in[i] = args[set * ARRAYS + i]->data;
  for (int i = 0; i < OUTPUTS; i++) out[i] = rets[set * OUTPUTS + i]->data;
  const int64_t size = numbers_in(rets[set * OUTPUTS]) / work->members;
  const int64_t of_member = spans / work->members, member = span / of_member;
  for (int i = 0; i < SCALARS; i++) {
    const XLA_FFI_Buffer *scalar = args[work->frame->args.size - SCALARS + i];
    const int64_t each = numbers_in(scalar) / work->members;
    in[ARRAYS + i] = scalar->data;
    at[i] = each == 1 ? member : member * each + set;
  }
  const int64_t start = span % of_member * SPAN;
  const int64_t length = size - start < SPAN ? size - start : SPAN;
  numbers(in, out, at, member * size + start, member * size + start + length);
}

static void take_spans(Work *work) {
  int64_t set = 0, before = 0;
  for (int64_t k; (k = atomic_fetch_add(&work->next, 1)) < work->spans;) {
    for (; k >= work->ends[set]; set++) before = work->ends[set];
    do_span(work, set, k - before, work->ends[set] - before);
    atomic_fetch_add(&work->done, 1);
  }
}

static void leave(Work *work) {
  if (atomic_fetch_sub(&work->users, 1) == 1) free(work);
}

static void help(void *work) {
  take_spans(work);
  leave(work);
}

// Whether something went wrong, which is then forgotten.
static int failed(XLA_FFI_CallFrame *frame, XLA_FFI_Error *error) {
  if (error == NULL) return 0;
  XLA_FFI_Error_Destroy_Args gone = {
      .struct_size = XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, .error = error};
  frame->api->XLA_FFI_Error_Destroy(&gone);
  return 1;
}

static int64_t threads_of(XLA_FFI_CallFrame *frame) {
  int64_t threads = 1;
  XLA_FFI_ThreadPool_NumThreads_Args asked = {
      .struct_size = XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE,
      .ctx = frame->ctx,
      .num_threads = &threads,
  };
  return failed(frame, frame->api->XLA_FFI_ThreadPool_NumThreads(&asked)) ? 1 : threads;
}

static int called_for_help(XLA_FFI_CallFrame *frame, Work *work) {
  XLA_FFI_ThreadPool_Schedule_Args task = {
      .struct_size = XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE,
      .ctx = frame->ctx,
      .task = help,
      .data = work,
  };
  return !failed(frame, frame->api->XLA_FFI_ThreadPool_Schedule(&task));
}

static XLA_FFI_Error *no_memory(XLA_FFI_CallFrame *frame) {
  XLA_FFI_Error_Create_Args made = {
      .struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE,
      .message = "No memory is left for an update in one pass.",
      .errc = XLA_FFI_Error_Code_RESOURCE_EXHAUSTED,
  };
  return frame->api->XLA_FFI_Error_Create(&made);
}

// XLA asks when the function is registered: which version of the interface it speaks.
static int is_question(XLA_FFI_CallFrame *frame) {
  __typeof__(frame->extension_start) extension = frame->extension_start;  // renamed in jaxlib 0.11
  while (extension != NULL && extension->type != XLA_FFI_Extension_Metadata)
    extension = extension->next;
  if (extension == NULL) return 0;
  XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)extension)->metadata;
  metadata->api_version.major_version = XLA_FFI_API_MAJOR;
  metadata->api_version.minor_version = XLA_FFI_API_MINOR;
  return 1;
}

XLA_FFI_Error *one_pass(XLA_FFI_CallFrame *frame) {
  if (is_question(frame)) return NULL;
  const int64_t sets = frame->rets.size / OUTPUTS;
  Work *work = malloc(sizeof(Work) + sets * sizeof(int64_t));
  if (work == NULL) return no_memory(frame);
  work->frame = frame;
  work->members = numbers_in(frame->args.args[frame->args.size - 1]);
  work->spans = 0;
  for (int64_t set = 0; set < sets; set++) {
    const int64_t all = numbers_in(frame->rets.rets[set * OUTPUTS]);
    if (all > 0) work->spans += work->members * ((all / work->members + SPAN - 1) / SPAN);
    work->ends[set] = work->spans;
  }
  int64_t helpers = threads_of(frame) - 1;
  if (helpers > work->spans - 1) helpers = work->spans > 0 ? work->spans - 1 : 0;
  atomic_init(&work->next, 0);
  atomic_init(&work->done, 0);
  atomic_init(&work->users, helpers + 1);
  while (helpers > 0 && called_for_help(frame, work)) helpers--;
  atomic_fetch_sub(&work->users, helpers);  // those that did not hear
  take_spans(work);
  while (atomic_load(&work->done) < work->spans) sched_yield();
  leave(work);
  return NULL;
}
