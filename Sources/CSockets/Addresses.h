// Addresses as the kernel has them, and as CSockets.h shows them. Not for other modules.
#ifndef FRESHET_ADDRESSES_H
#define FRESHET_ADDRESSES_H
#include "CSockets.h"

#include <netinet/in.h>
#include <sys/socket.h>

typedef union socket_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} socket_address;

freshet_endpoint endpoint_of(const socket_address *address);

// The address for a socket, as IPv4 inside of IPv6 when `is_mapped`; gives its length.
socklen_t address_of(freshet_endpoint endpoint, bool is_mapped, socket_address *address);
#endif
