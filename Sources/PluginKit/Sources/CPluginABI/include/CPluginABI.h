#ifndef FRESHET_CPLUGINABI_H
#define FRESHET_CPLUGINABI_H

#include <stdint.h>

/// What the one exported function of a plugin returns.
typedef struct plugin_descriptor {
  /// The generation of the plugin interface that the plugin was built with.
  uint32_t generation;
  /// The compiler that the plugin was built with.
  const char *_Nonnull toolchain;
  /// Makes the retained object that describes the plugin; called only when both fields above match the host's.
  void *_Nonnull (*_Nonnull create)(void);
} plugin_descriptor;

/// The generation of the plugin interface. Raise it when `PluginKit.swiftinterface` changes.
static const uint32_t plugin_abi_generation = 3;

/// Describes a plugin with the generation and the compiler of whoever includes this header.
static inline plugin_descriptor plugin_describe(void *_Nonnull (*_Nonnull create)(void)) {
  return (plugin_descriptor){plugin_abi_generation, __clang_version__, create};
}
#endif
