#define _GNU_SOURCE
#include "CSockets.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int local_address(const char *path, struct sockaddr_un *address) {
  size_t length = strlen(path);
  if (length >= sizeof address->sun_path) return -ENAMETOOLONG;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, length);
  return 0;
}

int freshet_local_listen(const char *path) {
  struct sockaddr_un address;
  int result = local_address(path, &address);
  if (result < 0) return result;
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -errno;
  // Before it has a name, so that nobody else can connect in between.
  if (fchmod(descriptor, S_IRUSR | S_IWUSR) == 0 && bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
      listen(descriptor, 4) == 0) {
    return descriptor;
  }
  result = -errno;
  close(descriptor);
  return result;
}

int freshet_local_accept(int listener) {
  int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return descriptor < 0 ? -errno : descriptor;
}

int freshet_local_connect(const char *path, unsigned seconds) {
  struct sockaddr_un address;
  int result = local_address(path, &address);
  if (result < 0) return result;
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  struct timeval patience = {.tv_sec = seconds};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0) return descriptor;
  result = -errno;
  close(descriptor);
  return result;
}

int freshet_local_read(int descriptor, void *bytes, size_t limit) {
  ssize_t count;
  do count = read(descriptor, bytes, limit);
  while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : (int)count;
}

int freshet_local_write(int descriptor, const void *bytes, size_t count) {
  ssize_t written;
  do written = send(descriptor, bytes, count, MSG_NOSIGNAL);
  while (written < 0 && errno == EINTR);
  return written < 0 ? -errno : (int)written;
}
