#ifndef FRESHET_CFFMPEG_SHIM_H
#define FRESHET_CFFMPEG_SHIM_H
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavdevice/version.h>
#include <libavformat/avformat.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/avutil.h>
#include <libavutil/channel_layout.h>
#include <libavutil/error.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

// Macros that the importer cannot carry over: function-like ones and those that cast.
static const int freshet_AVERROR_EOF = AVERROR_EOF;
static const int freshet_AVERROR_EXIT = AVERROR_EXIT;
static const int freshet_AVERROR_INVALIDDATA = AVERROR_INVALIDDATA;
static const int64_t freshet_AV_NOPTS_VALUE = AV_NOPTS_VALUE;
static inline int freshet_AVERROR(int code) { return AVERROR(code); }
static inline AVRational freshet_AV_TIME_BASE_Q(void) { return AV_TIME_BASE_Q; }
static inline AVChannelLayout freshet_STEREO(void) {
  return (AVChannelLayout)AV_CHANNEL_LAYOUT_STEREO;
}
// The library that goes with these headers; it is not linked.
static const char *const freshet_avdevice = "libavdevice.so." AV_STRINGIFY(LIBAVDEVICE_VERSION_MAJOR);
// Whether a demuxer reads from a device: a camera, a screen, a sound card, a filter graph.
static inline int freshet_is_device(const AVInputFormat *format) {
  return format && format->priv_class && AV_IS_INPUT_DEVICE(format->priv_class->category);
}
#endif
