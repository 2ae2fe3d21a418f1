#define _GNU_SOURCE
#include "Addresses.h"

#include <string.h>

freshet_endpoint endpoint_of(const socket_address *address) {
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

socklen_t address_of(freshet_endpoint endpoint, bool is_mapped, socket_address *address) {
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
