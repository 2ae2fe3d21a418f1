#define _GNU_SOURCE
#include "CSockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int freshet_poll_open(void) {
  int poll = epoll_create1(EPOLL_CLOEXEC);
  return poll < 0 ? -errno : poll;
}

int freshet_poll_set(int poll, int descriptor, uint64_t token, uint32_t events, bool is_known) {
  struct epoll_event event = {.data.u64 = token};
  if (events & freshet_input) event.events |= EPOLLIN;
  if (events & freshet_output) event.events |= EPOLLOUT;
  int action = events == 0 ? EPOLL_CTL_DEL : is_known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  return epoll_ctl(poll, action, descriptor, &event) < 0 ? -errno : 0;
}

int freshet_poll_wait(int poll, int64_t nanoseconds, freshet_ready *ready) {
  struct epoll_event events[freshet_ready_limit];
  struct timespec timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  int count = epoll_pwait2(poll, events, freshet_ready_limit, nanoseconds < 0 ? NULL : &timeout, NULL);
  if (count < 0 && errno == ENOSYS) {
    int64_t milliseconds = nanoseconds < 0 ? -1 : (nanoseconds + 999999) / 1000000;
    count = epoll_wait(poll, events, freshet_ready_limit, milliseconds > 3600000 ? 3600000 : (int)milliseconds);
  }
  if (count < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < count; i++) {
    uint32_t flags = events[i].events;
    ready[i] = (freshet_ready){events[i].data.u64, 0};
    if (flags & EPOLLIN) ready[i].events |= freshet_input;
    if (flags & EPOLLOUT) ready[i].events |= freshet_output;
    if (flags & (EPOLLHUP | EPOLLERR)) ready[i].events |= freshet_hangup;
  }
  return count;
}

int freshet_alarm_open(void) {
  int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return descriptor < 0 ? -errno : descriptor;
}

void freshet_alarm_raise(int descriptor) {
  uint64_t one = 1;
  (void)!write(descriptor, &one, sizeof one);
}

void freshet_alarm_clear(int descriptor) {
  uint64_t count;
  (void)!read(descriptor, &count, sizeof count);
}

// Written once, before the first handler is set.
static int signal_pipe[2] = {-1, -1};

int freshet_signals_open(void) {
  if (signal_pipe[0] >= 0) return signal_pipe[0];
  return pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : signal_pipe[0];
}

static void note_signal(int signal) {
  int saved = errno;
  uint8_t number = (uint8_t)signal;
  (void)!write(signal_pipe[1], &number, 1);
  errno = saved;
}

int freshet_signal_catch(int signal) {
  struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
  if (sigaction(signal, &action, NULL) < 0) return -errno;
  // Whoever started the process, or made the thread, may have blocked it.
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, signal);
  return -pthread_sigmask(SIG_UNBLOCK, &wanted, NULL);
}

int freshet_signal_release(int signal) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  return sigaction(signal, &action, NULL) < 0 ? -errno : 0;
}

int freshet_signal_next(int descriptor) {
  uint8_t number;
  return read(descriptor, &number, 1) == 1 ? number : 0;
}

void freshet_ignore_broken_pipes(void) { signal(SIGPIPE, SIG_IGN); }
