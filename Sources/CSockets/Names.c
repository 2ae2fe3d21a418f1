#define _GNU_SOURCE
#include "Addresses.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

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
