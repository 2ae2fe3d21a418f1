#ifndef FRESHET_CSOCKETS_H
#define FRESHET_CSOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// An IP address and a port, all in host order. An IPv4 address is the low 32 bits of `low`.
typedef struct freshet_endpoint {
  uint64_t high;
  uint64_t low;
  uint16_t port;
  /// 4, 6, or 0 for none.
  uint8_t family;
} freshet_endpoint;

// All functions below that return an `int` return a negated errno when they fail, unless they say otherwise.

// MARK: Datagrams

/// The most datagrams in one batch.
enum { freshet_batch = 64 };

typedef struct freshet_socket_options {
  /// Whether an IPv6 socket takes IPv4 too.
  bool dual_stack;
  int receive_buffer;
  int send_buffer;
} freshet_socket_options;

/// Opens a UDP socket that never blocks and never sends what IP would fragment.
/// Returns the descriptor.
int freshet_udp_open(freshet_endpoint local, freshet_socket_options options);

/// Where a socket is bound.
int freshet_local_endpoint(int descriptor, freshet_endpoint *_Nonnull local);

/// The own address from which packets to `other` leave; nothing is sent.
int freshet_route(freshet_endpoint other, freshet_endpoint *_Nonnull local);

/// The size of the kernel's buffers as granted, in bytes.
int freshet_receive_buffer(int descriptor);
int freshet_send_buffer(int descriptor);

/// One received datagram.
typedef struct freshet_arrival {
  freshet_endpoint source;
  /// In the slab.
  uint32_t offset;
  uint32_t count;
  /// The ECN bits of the IP header.
  uint8_t congestion;
  /// Whether the datagram was longer than its place in the slab.
  bool is_cut;
} freshet_arrival;

/// The arrays that receiving and sending need, made once for each socket.
typedef struct freshet_batches freshet_batches;

/// Returns null when there is no memory. `stride` is the room for each received datagram.
freshet_batches *_Nullable freshet_batches_make(size_t stride);
void freshet_batches_free(freshet_batches *_Nonnull batches);

/// The received bytes: `freshet_batch` times the stride.
const uint8_t *_Nonnull freshet_slab(const freshet_batches *_Nonnull batches);

/// Receives at most `limit` datagrams into the slab; `arrivals` has room for `freshet_batch`.
/// `overflow` becomes how many the kernel has dropped so far because its buffer was full, when it says so.
/// Returns the number received.
int freshet_receive(
  int descriptor, freshet_batches *_Nonnull batches, unsigned limit, freshet_arrival *_Nonnull arrivals,
  uint32_t *_Nonnull overflow
);

/// Puts a datagram of two parts in place `index` of the batch to send. From a socket that is bound to all addresses it
/// leaves from the one at which the destination's last datagram came.
void freshet_prepare(
  freshet_batches *_Nonnull batches, unsigned index, freshet_endpoint destination, bool is_mapped,
  const void *_Nullable head, size_t head_count, const void *_Nullable body, size_t body_count
);

/// Prepares a datagram again to leave from whatever address the routes prefer, and forgets by which one the peer knows
/// us. Returns whether that makes a difference.
bool freshet_prepare_without_source(freshet_batches *_Nonnull batches, unsigned index);

/// Sends the prepared datagrams from `first` to `end`.
/// Returns how many went; fewer than all when the next one failed, and then `error` is its errno, else 0.
int freshet_send(
  int descriptor, freshet_batches *_Nonnull batches, unsigned first, unsigned end, int *_Nonnull error
);

// MARK: Sockets of this machine

/// Listens at a path of the file system where nothing is, for its owner only. Accepting never blocks.
/// Returns the descriptor.
int freshet_local_listen(const char *_Nonnull path);
/// The next one who has connected; neither reading nor writing blocks. Returns the descriptor.
int freshet_local_accept(int listener);
/// Connects to a path; reading waits for at most `seconds`. Returns the descriptor.
int freshet_local_connect(const char *_Nonnull path, unsigned seconds);
/// Reads what is there. Returns how many bytes, 0 at the end.
int freshet_local_read(int descriptor, void *_Nonnull bytes, size_t limit);
/// Writes what there is room for. Returns how many bytes.
int freshet_local_write(int descriptor, const void *_Nonnull bytes, size_t count);

// MARK: Tunnels

/// Lets the calling thread work in the network namespace `space`, one that `ip netns add` made, and programs that it
/// starts live there. Returns a descriptor with which `freshet_space_leave` brings it back.
int freshet_space_enter(const char *_Nonnull space);
/// Closes the descriptor.
int freshet_space_leave(int descriptor);

/// Makes an empty file in memory that has no name. Returns its descriptor.
int freshet_memory_file(void);

/// Opens the TUN device `name` in the network namespace `space`, one that `ip netns add` made, and makes it when it is
/// not there. Reading never blocks. The calling thread stays in its own namespace.
/// Returns the descriptor.
int freshet_tunnel_open(const char *_Nonnull name, const char *_Nonnull space);
/// Takes one whole IP packet that the namespace sends; what is longer than `limit` is cut. Returns its length.
int freshet_tunnel_read(int descriptor, void *_Nonnull packet, size_t limit);
/// Lets one whole IP packet arrive in the namespace.
int freshet_tunnel_write(int descriptor, const void *_Nonnull packet, size_t count);

/// Lets this thread run before all ordinary ones and its waits end when they should. Not every user may do that.
int freshet_be_prompt(void);

// MARK: Waiting

enum { freshet_ready_limit = 32 };
enum { freshet_input = 1, freshet_output = 2, freshet_hangup = 4 };

typedef struct freshet_ready {
  uint64_t token;
  uint32_t events;
} freshet_ready;

int freshet_poll_open(void);
/// Watches, changes (`is_known`) or forgets (`events` 0) a descriptor.
int freshet_poll_set(int poll, int descriptor, uint64_t token, uint32_t events, bool is_known);
/// Waits for at most `nanoseconds`, or for ever when negative. `ready` has room for `freshet_ready_limit`.
/// Returns how many are ready; 0 also when a signal came.
int freshet_poll_wait(int poll, int64_t nanoseconds, freshet_ready *_Nonnull ready);

/// A descriptor that becomes readable when it is raised.
int freshet_alarm_open(void);
void freshet_alarm_raise(int descriptor);
/// Takes back what was raised.
void freshet_alarm_clear(int descriptor);

/// Opens the pipe into which signals are written, or returns the reading end that is there already.
int freshet_signals_open(void);
/// Writes `signal` into the pipe from now on, when it comes.
int freshet_signal_catch(int signal);
/// Gives `signal` its default effect again.
int freshet_signal_release(int signal);
/// The next signal that came; 0 when none did.
int freshet_signal_next(int descriptor);
/// From now on writing to a closed pipe is an error instead of the end of the process.
void freshet_ignore_broken_pipes(void);

// MARK: Names

/// Finds the addresses of `host`; `numeric` allows no names.
/// Returns how many were stored, or a negated EAI code.
int freshet_resolve(
  const char *_Nonnull host, uint16_t port, bool numeric, freshet_endpoint *_Nonnull found, unsigned limit
);
/// What an EAI code means; `system` is the errno for EAI_SYSTEM.
const char *_Nonnull freshet_resolve_error(int code);

/// The addresses of the interfaces that are up, without loopback and link-local ones; the one that packets to the
/// Internet leave from comes first in each family. Returns how many were stored.
int freshet_own_endpoints(freshet_endpoint *_Nonnull found, unsigned limit);

// MARK: Time

/// Nanoseconds of the monotonic clock.
int64_t freshet_monotonic(void);
/// Nanoseconds since 1970.
int64_t freshet_unix_time(void);
/// Nanoseconds of the clock that counts from boot, also while the machine sleeps.
int64_t freshet_boot_time(void);
#endif
