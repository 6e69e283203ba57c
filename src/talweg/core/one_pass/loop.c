// One pass over memory: a loop over the numbers of arrays of one shape, as a function that XLA
// calls. What is done to each number is in `numbers.h`, which loop.py writes: `INPUTS`,
// `OUTPUTS`, and
//
//     numbers(in, out, member, begin, end)
//
// for the numbers from `begin` to `end`, with the scalars of one member of a population.
//
// The threads are XLA's. Whoever is free takes the next span; the caller takes part, so that it
// waits for nothing but spans that somebody works on. Helpers may come late, when all is done:
// the last one to leave frees what they share.

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "numbers.h"
#include "xla/ffi/api/c_api.h"

// As many numbers as take longer than to call a thread.
#define SPAN 65536

typedef struct {
  void *in[INPUTS], *out[OUTPUTS];
  int64_t size, spans, members;  // numbers of a member, its spans, members
  atomic_long next, done, users;
} Work;

static void take_spans(Work *work) {
  const int64_t all = work->spans * work->members;
  for (int64_t k; (k = atomic_fetch_add(&work->next, 1)) < all; atomic_fetch_add(&work->done, 1)) {
    const int64_t member = k / work->spans, start = k % work->spans * SPAN;
    const int64_t length = work->size - start < SPAN ? work->size - start : SPAN;
    const int64_t begin = member * work->size + start;
    numbers(work->in, work->out, member, begin, begin + length);
  }
}

static void leave(Work *work) {
  if (atomic_fetch_sub(&work->users, 1) == 1) free(work);
}

static void help(void *data) {
  take_spans(data);
  leave(data);
}

static long threads_of(XLA_FFI_CallFrame *frame) {
  int64_t threads = 1;
  XLA_FFI_ThreadPool_NumThreads_Args asked = {
      .struct_size = XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE,
      .ctx = frame->ctx,
      .num_threads = &threads,
  };
  XLA_FFI_Error *error = frame->api->XLA_FFI_ThreadPool_NumThreads(&asked);
  if (error == NULL) return threads;
  XLA_FFI_Error_Destroy_Args gone = {
      .struct_size = XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, .error = error};
  frame->api->XLA_FFI_Error_Destroy(&gone);
  return 1;
}

static int asked_for_help(XLA_FFI_CallFrame *frame, Work *work) {
  XLA_FFI_ThreadPool_Schedule_Args task = {
      .struct_size = XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE,
      .ctx = frame->ctx,
      .task = help,
      .data = work,
  };
  XLA_FFI_Error *error = frame->api->XLA_FFI_ThreadPool_Schedule(&task);
  if (error == NULL) return 1;
  XLA_FFI_Error_Destroy_Args gone = {
      .struct_size = XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, .error = error};
  frame->api->XLA_FFI_Error_Destroy(&gone);
  return 0;
}

static XLA_FFI_Error *no_memory(XLA_FFI_CallFrame *frame) {
  XLA_FFI_Error_Create_Args made = {
      .struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE,
      .message = "No memory is left for an update in one pass.",
      .errc = XLA_FFI_Error_Code_RESOURCE_EXHAUSTED,
  };
  return frame->api->XLA_FFI_Error_Create(&made);
}

// Asked by XLA when the function is registered: which version of the interface it speaks.
static int is_question(XLA_FFI_CallFrame *frame) {
  XLA_FFI_Extension_Base *extension = frame->extension_start;
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
  Work *work = malloc(sizeof(Work));
  if (work == NULL) return no_memory(frame);
  for (int i = 0; i < INPUTS; i++) work->in[i] = ((XLA_FFI_Buffer *)frame->args.args[i])->data;
  for (int i = 0; i < OUTPUTS; i++) work->out[i] = ((XLA_FFI_Buffer *)frame->rets.rets[i])->data;
  // The last input is a scalar, or one for each member.
  work->members = work->size = 1;
  const XLA_FFI_Buffer *scalar = frame->args.args[INPUTS - 1], *array = frame->rets.rets[0];
  for (int64_t i = 0; i < scalar->rank; i++) work->members *= scalar->dims[i];
  for (int64_t i = 0; i < array->rank; i++) work->size *= array->dims[i];
  if (work->members > 0) work->size /= work->members;
  work->spans = (work->size + SPAN - 1) / SPAN;
  long helpers = threads_of(frame) - 1;
  if (helpers >= work->spans * work->members) helpers = work->spans * work->members - 1;
  if (helpers < 0) helpers = 0;
  atomic_init(&work->next, 0);
  atomic_init(&work->done, 0);
  atomic_init(&work->users, helpers + 1);
  while (helpers > 0 && asked_for_help(frame, work)) helpers--;
  atomic_fetch_sub(&work->users, helpers);
  take_spans(work);
  while (atomic_load(&work->done) < work->spans * work->members) sched_yield();
  leave(work);
  return NULL;
}
