#define _GNU_SOURCE
#include "Addresses.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

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
