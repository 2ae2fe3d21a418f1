#ifndef FRESHET_CPCAP_SHIM_H
#define FRESHET_CPCAP_SHIM_H
#include <pcap/pcap.h>
#endif
