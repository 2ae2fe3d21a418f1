internal import CFFmpeg
internal import Glibc

/// libavdevice: cameras, screens, sound cards and filter graphs as inputs.
///
/// It draws in a hundred libraries that take longer to load than all the rest of the program, and few inputs are
/// devices; so it is opened when the first address may be one.
enum Devices {
  /// Whether a name is that of a format that reads from a device.
  static func has(_ name: String) -> Bool {
    guard failure == nil else { return false }
    return unsafe freshet_is_device(av_find_input_format(name)) != 0
  }

  /// Why the library cannot be used; nil when it can.
  ///
  /// To look at it opens the library.
  static let failure: String? = {
    _ = unsafe dlerror()
    guard let library = unsafe dlopen(freshet_avdevice, RTLD_NOW | RTLD_LOCAL),
      let symbol = unsafe dlsym(library, "avdevice_register_all")
    else {
      return unsafe dlerror().map { unsafe String(cString: $0) } ?? "it does not say why"
    }
    unsafe unsafeBitCast(symbol, to: (@convention(c) () -> Void).self)()
    return nil
  }()
}
