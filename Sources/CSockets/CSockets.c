#define _GNU_SOURCE
#include "CSockets.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// MARK: Addresses

typedef union socket_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} socket_address;

static freshet_endpoint endpoint_of(const socket_address *address) {
  freshet_endpoint endpoint = {0};
  if (address->any.sa_family == AF_INET) {
    endpoint.family = 4;
    endpoint.low = ntohl(address->v4.sin_addr.s_addr);
    endpoint.port = ntohs(address->v4.sin_port);
  } else if (address->any.sa_family == AF_INET6) {
    uint64_t halves[2];
    memcpy(halves, &address->v6.sin6_addr, sizeof halves);
    endpoint.high = __builtin_bswap64(halves[0]);
    endpoint.low = __builtin_bswap64(halves[1]);
    endpoint.port = ntohs(address->v6.sin6_port);
    endpoint.family = 6;
    // IPv4 as an IPv6 socket shows it, ::ffff:192.0.2.7.
    if (endpoint.high == 0 && endpoint.low >> 32 == 0xffff) {
      endpoint.family = 4;
      endpoint.low &= 0xffffffff;
    }
  }
  return endpoint;
}

static socklen_t address_of(freshet_endpoint endpoint, bool is_mapped, socket_address *address) {
  if (endpoint.family == 4 && !is_mapped) {
    address->v4 = (struct sockaddr_in){
      .sin_family = AF_INET,
      .sin_port = htons(endpoint.port),
      .sin_addr.s_addr = htonl((uint32_t)endpoint.low),
    };
    return sizeof address->v4;
  }
  if (endpoint.family == 4) {
    endpoint.high = 0;
    endpoint.low = 0xffff00000000 | (endpoint.low & 0xffffffff);
  }
  address->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(endpoint.port)};
  uint64_t halves[2] = {__builtin_bswap64(endpoint.high), __builtin_bswap64(endpoint.low)};
  memcpy(&address->v6.sin6_addr, halves, sizeof halves);
  return sizeof address->v6;
}

// MARK: Datagrams

static int set(int descriptor, int level, int option, int value) {
  return setsockopt(descriptor, level, option, &value, sizeof value);
}

// The kernel cuts what is asked for down to its limit without saying so; root may go beyond.
static void set_buffer(int descriptor, int forced, int asked, int size) {
  if (size <= 0) return;
  if (set(descriptor, SOL_SOCKET, forced, size) < 0) (void)set(descriptor, SOL_SOCKET, asked, size);
}

static int configure(int descriptor, const freshet_endpoint *local, freshet_socket_options options) {
  set_buffer(descriptor, SO_RCVBUFFORCE, SO_RCVBUF, options.receive_buffer);
  set_buffer(descriptor, SO_SNDBUFFORCE, SO_SNDBUF, options.send_buffer);
  (void)set(descriptor, SOL_SOCKET, SO_RXQ_OVFL, 1);
  bool is_v6 = local->family == 6;
  bool is_any = local->high == 0 && local->low == 0;
  if (is_v6) {
    if (set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, !options.dual_stack) < 0) return -errno;
    if (set(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO) < 0) return -errno;
    if (set(descriptor, IPPROTO_IPV6, IPV6_DONTFRAG, 1) < 0) return -errno;
    (void)set(descriptor, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    // Also for IPv4 packets, with the address in its IPv6 form.
    if (is_any) (void)set(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }
  if (!is_v6 || options.dual_stack) {
    if (set(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO) < 0) return -errno;
    (void)set(descriptor, IPPROTO_IP, IP_RECVTOS, 1);
    if (is_any && !is_v6) (void)set(descriptor, IPPROTO_IP, IP_PKTINFO, 1);
  }
  socket_address address;
  socklen_t size = address_of(*local, false, &address);
  return bind(descriptor, &address.any, size) < 0 ? -errno : 0;
}

int freshet_udp_open(freshet_endpoint local, freshet_socket_options options) {
  int family = local.family == 6 ? AF_INET6 : AF_INET;
  int descriptor = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  int status = configure(descriptor, &local, options);
  if (status == 0) return descriptor;
  close(descriptor);
  return status;
}

int freshet_local_endpoint(int descriptor, freshet_endpoint *local) {
  socket_address address;
  socklen_t size = sizeof address;
  if (getsockname(descriptor, &address.any, &size) < 0) return -errno;
  *local = endpoint_of(&address);
  return 0;
}

int freshet_route(freshet_endpoint other, freshet_endpoint *local) {
  int descriptor = socket(other.family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  socket_address address;
  socklen_t size = address_of(other, false, &address);
  int status = connect(descriptor, &address.any, size) < 0 ? -errno : freshet_local_endpoint(descriptor, local);
  close(descriptor);
  return status;
}

static int get(int descriptor, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(descriptor, SOL_SOCKET, option, &value, &size) < 0 ? -errno : value;
}

int freshet_receive_buffer(int descriptor) { return get(descriptor, SO_RCVBUF); }

int freshet_send_buffer(int descriptor) { return get(descriptor, SO_SNDBUF); }

// Room for the ECN bits, the own address and the overflow counter.
typedef union arrival_control {
  struct cmsghdr header;
  uint8_t bytes[CMSG_SPACE(sizeof(int)) * 2 + CMSG_SPACE(sizeof(struct in6_pktinfo)) * 2 + CMSG_SPACE(sizeof(uint32_t))];
} arrival_control;

typedef union departure_control {
  struct cmsghdr header;
  uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
} departure_control;

// By which of our addresses a peer knows us. A socket bound to all addresses would answer from the one that the routes
// prefer, and a peer that asked another would not know the answer.
typedef struct own_address {
  freshet_endpoint peer;
  union {
    struct in_pktinfo v4;
    struct in6_pktinfo v6;
  };
  // 0 when this place is free, else what it holds.
  uint8_t family;
} own_address;

// Peers past this share a place, and the last one heard of has it; the others get the address that the routes prefer.
enum { own_address_count = 4096, own_address_ways = 4 };

struct freshet_batches {
  size_t stride;
  uint8_t *slab;
  struct mmsghdr arrivals[freshet_batch];
  struct iovec places[freshet_batch];
  socket_address sources[freshet_batch];
  arrival_control arrival_controls[freshet_batch];
  struct mmsghdr departures[freshet_batch];
  struct iovec parts[freshet_batch][2];
  socket_address destinations[freshet_batch];
  departure_control departure_controls[freshet_batch];
  own_address *chosen[freshet_batch];
  own_address own_addresses[own_address_count];
};

static bool is_same(freshet_endpoint left, freshet_endpoint right) {
  return left.low == right.low && left.high == right.high && left.port == right.port && left.family == right.family;
}

// The place of a peer; null when it has none and `is_new` is false.
static own_address *own_address_for(freshet_batches *batches, freshet_endpoint peer, bool is_new) {
  uint64_t hash = (peer.high ^ (peer.low * 0x9e3779b97f4a7c15) ^ peer.port) * 0xbf58476d1ce4e5b9;
  own_address *set = batches->own_addresses + (hash >> 40) % own_address_count / own_address_ways * own_address_ways;
  own_address *place = NULL;
  for (size_t i = 0; i < own_address_ways; i++) {
    if (set[i].family != 0 && is_same(set[i].peer, peer)) return &set[i];
    if (set[i].family == 0 && place == NULL) place = &set[i];
  }
  if (!is_new) return NULL;
  if (place == NULL) place = &set[(hash >> 32) % own_address_ways];
  place->peer = peer;
  return place;
}

freshet_batches *freshet_batches_make(size_t stride) {
  freshet_batches *batches = calloc(1, sizeof *batches);
  if (batches == NULL) return NULL;
  batches->stride = stride;
  batches->slab = malloc(stride * freshet_batch);
  if (batches->slab == NULL) {
    free(batches);
    return NULL;
  }
  for (size_t i = 0; i < freshet_batch; i++) {
    batches->places[i] = (struct iovec){batches->slab + i * stride, stride};
    struct msghdr *arrival = &batches->arrivals[i].msg_hdr;
    arrival->msg_name = &batches->sources[i];
    arrival->msg_iov = &batches->places[i];
    arrival->msg_iovlen = 1;
    arrival->msg_control = &batches->arrival_controls[i];
    struct msghdr *departure = &batches->departures[i].msg_hdr;
    departure->msg_name = &batches->destinations[i];
    departure->msg_iov = batches->parts[i];
  }
  return batches;
}

void freshet_batches_free(freshet_batches *batches) {
  free(batches->slab);
  free(batches);
}

const uint8_t *freshet_slab(const freshet_batches *batches) { return batches->slab; }

static void read_control(
  freshet_batches *batches, struct msghdr *message, freshet_endpoint source, uint8_t *congestion, uint32_t *overflow
) {
  for (struct cmsghdr *field = CMSG_FIRSTHDR(message); field; field = CMSG_NXTHDR(message, field)) {
    if (field->cmsg_level == IPPROTO_IP && field->cmsg_type == IP_TOS) {
      *congestion = *CMSG_DATA(field) & 3;
    } else if (field->cmsg_level == IPPROTO_IPV6 && field->cmsg_type == IPV6_TCLASS) {
      int class;
      memcpy(&class, CMSG_DATA(field), sizeof class);
      *congestion = class & 3;
    } else if (field->cmsg_level == SOL_SOCKET && field->cmsg_type == SO_RXQ_OVFL) {
      memcpy(overflow, CMSG_DATA(field), sizeof *overflow);
    } else if (field->cmsg_level == IPPROTO_IP && field->cmsg_type == IP_PKTINFO) {
      own_address *own = own_address_for(batches, source, true);
      memcpy(&own->v4, CMSG_DATA(field), sizeof own->v4);
      own->v4.ipi_ifindex = 0;
      own->family = 4;
    } else if (field->cmsg_level == IPPROTO_IPV6 && field->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(field), sizeof info);
      if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr)) continue;
      // Only a link-local address needs its interface.
      if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
      own_address *own = own_address_for(batches, source, true);
      own->v6 = info;
      own->family = 6;
    }
  }
}

int freshet_receive(
  int descriptor, freshet_batches *batches, unsigned limit, freshet_arrival *arrivals, uint32_t *overflow
) {
  if (limit > freshet_batch) limit = freshet_batch;
  for (unsigned i = 0; i < limit; i++) {
    struct msghdr *message = &batches->arrivals[i].msg_hdr;
    message->msg_namelen = sizeof batches->sources[i];
    message->msg_controllen = sizeof batches->arrival_controls[i];
  }
  int count;
  do count = recvmmsg(descriptor, batches->arrivals, limit, MSG_DONTWAIT, NULL);
  while (count < 0 && errno == EINTR);
  if (count < 0) return -errno;
  for (int i = 0; i < count; i++) {
    struct msghdr *message = &batches->arrivals[i].msg_hdr;
    arrivals[i] = (freshet_arrival){
      .source = endpoint_of(&batches->sources[i]),
      .offset = (uint32_t)(i * batches->stride),
      .count = batches->arrivals[i].msg_len,
      .is_cut = (message->msg_flags & MSG_TRUNC) != 0,
    };
    read_control(batches, message, arrivals[i].source, &arrivals[i].congestion, overflow);
  }
  return count;
}

static void choose_own_address(freshet_batches *batches, unsigned index, freshet_endpoint peer) {
  struct msghdr *message = &batches->departures[index].msg_hdr;
  own_address *own = own_address_for(batches, peer, false);
  batches->chosen[index] = own;
  message->msg_control = NULL;
  message->msg_controllen = 0;
  if (own == NULL) return;
  bool is_v6 = own->family == 6;
  size_t size = is_v6 ? sizeof own->v6 : sizeof own->v4;
  struct cmsghdr *field = &batches->departure_controls[index].header;
  field->cmsg_level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
  field->cmsg_type = is_v6 ? IPV6_PKTINFO : IP_PKTINFO;
  field->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(field), is_v6 ? (void *)&own->v6 : (void *)&own->v4, size);
  message->msg_control = field;
  message->msg_controllen = CMSG_SPACE(size);
}

void freshet_prepare(
  freshet_batches *batches, unsigned index, freshet_endpoint destination, bool is_mapped, const void *head,
  size_t head_count, const void *body, size_t body_count
) {
  struct msghdr *message = &batches->departures[index].msg_hdr;
  message->msg_namelen = address_of(destination, is_mapped, &batches->destinations[index]);
  batches->parts[index][0] = (struct iovec){(void *)head, head_count};
  batches->parts[index][1] = (struct iovec){(void *)body, body_count};
  message->msg_iovlen = body_count == 0 ? 1 : 2;
  choose_own_address(batches, index, destination);
}

bool freshet_prepare_without_source(freshet_batches *batches, unsigned index) {
  if (batches->chosen[index] == NULL) return false;
  batches->chosen[index]->family = 0;
  batches->chosen[index] = NULL;
  batches->departures[index].msg_hdr.msg_control = NULL;
  batches->departures[index].msg_hdr.msg_controllen = 0;
  return true;
}

int freshet_send(int descriptor, freshet_batches *batches, unsigned first, unsigned end, int *error) {
  unsigned next = first;
  *error = 0;
  while (next < end) {
    // It stops at the first failure and tells the reason only when that is the first one.
    int count = sendmmsg(descriptor, batches->departures + next, end - next, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR) continue;
      *error = errno;
      break;
    }
    next += (unsigned)count;
  }
  return (int)(next - first);
}

// MARK: Tunnels

static int attach_tunnel(const char *name) {
  int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device < 0) return -errno;
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  memcpy(request.ifr_name, name, strlen(name));
  if (ioctl(device, TUNSETIFF, &request) == 0) return device;
  int status = -errno;
  close(device);
  return status;
}

int freshet_tunnel_open(const char *name, const char *space) {
  char path[PATH_MAX];
  if (strlen(name) >= IFNAMSIZ || strchr(space, '/') != NULL) return -EINVAL;
  if (snprintf(path, sizeof path, "/run/netns/%s", space) >= (int)sizeof path) return -ENAMETOOLONG;
  int there = open(path, O_RDONLY | O_CLOEXEC);
  if (there < 0) return -errno;
  int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  int result = here < 0 ? -errno : 0;
  // The device belongs to the namespace in which /dev/net/tun is opened.
  if (result == 0 && setns(there, CLONE_NEWNET) < 0) result = -errno;
  if (result == 0) {
    result = attach_tunnel(name);
    if (setns(here, CLONE_NEWNET) < 0) {
      int status = -errno;
      if (result >= 0) close(result);
      result = status;
    }
  }
  if (here >= 0) close(here);
  close(there);
  return result;
}

int freshet_tunnel_read(int descriptor, void *packet, size_t limit) {
  ssize_t count;
  do count = read(descriptor, packet, limit);
  while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : (int)count;
}

int freshet_tunnel_write(int descriptor, const void *packet, size_t count) {
  ssize_t written;
  do written = write(descriptor, packet, count);
  while (written < 0 && errno == EINTR);
  return written < 0 ? -errno : 0;
}

int freshet_be_prompt(void) {
  (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  struct sched_param parameters = {.sched_priority = 1};
  return sched_setscheduler(0, SCHED_FIFO, &parameters) < 0 ? -errno : 0;
}

// MARK: Waiting

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

// MARK: Names

static bool is_link_local(freshet_endpoint endpoint) {
  return endpoint.family == 4 ? endpoint.low >> 16 == 0xa9fe : endpoint.high >> 54 == 0xfe80 >> 6;
}

static unsigned store(freshet_endpoint endpoint, freshet_endpoint *found, unsigned count, unsigned limit) {
  if (endpoint.family == 0 || count == limit) return count;
  for (unsigned i = 0; i < count; i++) {
    if (found[i].family == endpoint.family && found[i].high == endpoint.high && found[i].low == endpoint.low)
      return count;
  }
  found[count] = endpoint;
  return count + 1;
}

int freshet_resolve(const char *host, uint16_t port, bool numeric, freshet_endpoint *found, unsigned limit) {
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = numeric ? AI_NUMERICHOST : 0};
  struct addrinfo *list = NULL;
  int code = getaddrinfo(host, NULL, &hints, &list);
  if (code != 0) return code < 0 ? code : -code;
  unsigned count = 0;
  for (struct addrinfo *item = list; item; item = item->ai_next) {
    if (item->ai_family != AF_INET && item->ai_family != AF_INET6) continue;
    socket_address address = {0};
    memcpy(&address, item->ai_addr, item->ai_addrlen < sizeof address ? item->ai_addrlen : sizeof address);
    freshet_endpoint endpoint = endpoint_of(&address);
    endpoint.port = port;
    count = store(endpoint, found, count, limit);
  }
  freeaddrinfo(list);
  return (int)count;
}

const char *freshet_resolve_error(int code) {
  return code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code);
}

static bool is_loopback(freshet_endpoint endpoint) {
  return endpoint.family == 4 ? endpoint.low >> 24 == 127 : endpoint.high == 0 && endpoint.low == 1;
}

int freshet_own_endpoints(freshet_endpoint *found, unsigned limit) {
  unsigned count = 0;
  // Any public address does: 192.0.2.1 and 2001:db8::1 are reserved for documents but routed like others.
  freshet_endpoint probes[] = {
    {.family = 4, .low = 0xc0000201, .port = 9},
    {.family = 6, .high = 0x20010db800000000, .low = 1, .port = 9},
  };
  for (size_t i = 0; i < 2; i++) {
    freshet_endpoint chosen;
    if (freshet_route(probes[i], &chosen) < 0) continue;
    chosen.port = 0;
    if (!is_loopback(chosen) && !is_link_local(chosen)) count = store(chosen, found, count, limit);
  }
  struct ifaddrs *list = NULL;
  if (getifaddrs(&list) < 0) return -errno;
  for (struct ifaddrs *item = list; item; item = item->ifa_next) {
    if (item->ifa_addr == NULL || !(item->ifa_flags & IFF_UP) || (item->ifa_flags & IFF_LOOPBACK)) continue;
    int family = item->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    socket_address address = {0};
    memcpy(&address, item->ifa_addr, family == AF_INET ? sizeof address.v4 : sizeof address.v6);
    freshet_endpoint endpoint = endpoint_of(&address);
    endpoint.port = 0;
    if (!is_loopback(endpoint) && !is_link_local(endpoint)) count = store(endpoint, found, count, limit);
  }
  freeifaddrs(list);
  return (int)count;
}

// MARK: Time

static int64_t read_clock(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t freshet_monotonic(void) { return read_clock(CLOCK_MONOTONIC); }

int64_t freshet_unix_time(void) { return read_clock(CLOCK_REALTIME); }

int64_t freshet_boot_time(void) { return read_clock(CLOCK_BOOTTIME); }
