#define _GNU_SOURCE
#include "CSockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

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

int freshet_memory_file(void) {
  int file = memfd_create("freshet", MFD_CLOEXEC);
  return file < 0 ? -errno : file;
}

int freshet_space_enter(const char *space) {
  char path[PATH_MAX];
  if (strchr(space, '/') != NULL) return -EINVAL;
  if (snprintf(path, sizeof path, "/run/netns/%s", space) >= (int)sizeof path) return -ENAMETOOLONG;
  int there = open(path, O_RDONLY | O_CLOEXEC);
  if (there < 0) return -errno;
  int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  int result = here < 0 ? -errno : here;
  if (here >= 0 && setns(there, CLONE_NEWNET) < 0) {
    result = -errno;
    close(here);
  }
  close(there);
  return result;
}

int freshet_space_leave(int here) {
  int result = setns(here, CLONE_NEWNET) < 0 ? -errno : 0;
  close(here);
  return result;
}

int freshet_tunnel_open(const char *name, const char *space) {
  if (strlen(name) >= IFNAMSIZ) return -EINVAL;
  // The device belongs to the namespace in which /dev/net/tun is opened.
  int here = freshet_space_enter(space);
  if (here < 0) return here;
  int result = attach_tunnel(name);
  int status = freshet_space_leave(here);
  if (status < 0 && result >= 0) close(result);
  return status < 0 ? status : result;
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
