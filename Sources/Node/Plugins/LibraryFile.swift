internal import Glibc

/// A file that may be a shared library, looked at without loading it.
///
/// The system's loader trusts a file: one that was cut short ends the process. So everything that it maps is compared
/// with the size of the file first. Every byte may be hostile here.
struct LibraryFile: ~Copyable {
  /// What follows a plugin's name in the name of its function.
  static let suffix = "_plugin"

  // A table of names longer than this is not read; the largest libraries have a few MB.
  private static let nameLimit: UInt64 = 64 << 20
  private static let headerLimit = 256
  private static let symbolLimit = 128
  private static let dynamicLimit: UInt64 = 4096 * 16

  /// A part of the file that is mapped.
  private struct Segment {
    var offset: UInt64
    var address: UInt64
    var size: UInt64
  }

  private let path: String
  private let descriptor: Int32
  private let size: UInt64

  /// Opens a regular file.
  ///
  /// - Throws: ``PluginError/missing(path:)``, ``PluginError/unreadable(path:reason:)`` or
  ///   ``PluginError/notALibrary(path:reason:)`` for a folder or a device.
  static func open(_ path: String) throws(PluginError) -> LibraryFile {
    // Without blocking, for the file may be a pipe.
    let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let reason = errno
      throw reason == ENOENT || reason == ENOTDIR
        ? .missing(path: path) : .unreadable(path: path, reason: systemReason(reason))
    }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      let isFolder = status.st_mode & S_IFMT == S_IFDIR
      close(descriptor)
      throw .notALibrary(path: path, reason: isFolder ? "it is a folder" : "it is no regular file")
    }
    return LibraryFile(path: path, descriptor: descriptor, size: UInt64(max(status.st_size, 0)))
  }

  private init(path: String, descriptor: Int32, size: UInt64) {
    self.path = path
    self.descriptor = descriptor
    self.size = size
  }

  deinit { close(descriptor) }

  /// Which file it is, whatever the name it was opened by.
  var identity: FileIdentity {
    var status = stat()
    _ = unsafe fstat(descriptor, &status)
    return FileIdentity(device: UInt64(status.st_dev), number: UInt64(status.st_ino))
  }

  /// The names in the library that end in ``suffix``: its functions, and those that it uses.
  ///
  /// - Throws: ``PluginError/notALibrary(path:reason:)`` for what the system's loader must not see.
  func pluginSymbols() throws(PluginError) -> [String] {
    let header = read(at: 0, count: 64)
    guard header.count == 64, header.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else {
      throw refuse("it is no ELF library")
    }
    // Sixty-four bits, little-endian, a shared object.
    guard header[4] == 2, header[5] == 1 else { throw refuse("it is a library for another machine") }
    guard header.number(16, 2) == 3 else { throw refuse("it is an ELF file, but no shared library") }
    guard header.number(18, 2) == Self.hostMachine else {
      throw refuse("it is a library for another machine")
    }
    let start = header.number(32, 8)
    let headerCount = Int(header.number(56, 2))
    guard header.number(54, 2) == 56, headerCount > 0, headerCount <= Self.headerLimit else {
      throw refuse("its program headers are damaged")
    }
    let headers = read(at: start, count: UInt64(headerCount) * 56)
    guard headers.count == headerCount * 56 else { throw refuse("the file is cut short") }

    var loaded: [Segment] = []
    var dynamic: Segment?
    for index in 0..<headerCount {
      let base = index * 56
      let segment = Segment(
        offset: headers.number(base + 8, 8),
        address: headers.number(base + 16, 8),
        size: headers.number(base + 32, 8)
      )
      let kind = headers.number(base, 4)
      // PT_LOAD, PT_DYNAMIC.
      guard kind == 1 || kind == 2 else { continue }
      let (end, overflow) = segment.offset.addingReportingOverflow(segment.size)
      guard !overflow, end <= size else { throw refuse("the file is cut short") }
      guard segment.size <= headers.number(base + 40, 8),
        !segment.address.addingReportingOverflow(headers.number(base + 40, 8)).overflow
      else { throw refuse("its program headers are damaged") }
      if kind == 1 { loaded.append(segment) } else { dynamic = segment }
    }
    guard let dynamic, !loaded.isEmpty else { throw refuse("it is no dynamic library") }
    return try names(dynamic, loaded)
  }

  private func names(_ dynamic: Segment, _ loaded: [Segment]) throws(PluginError) -> [String] {
    let entries = read(at: dynamic.offset, count: min(dynamic.size, Self.dynamicLimit))
    var table: UInt64?
    var length: UInt64 = 0
    for base in stride(from: 0, to: entries.count - 15, by: 16) {
      let value = entries.number(base + 8, 8)
      switch entries.number(base, 8) {
      case 5: table = value
      case 10: length = value
      default: break
      }
      if entries.number(base, 8) == 0 { break }
    }
    guard let table, length <= Self.nameLimit,
      let home = loaded.first(where: { $0.address <= table && table - $0.address < $0.size }),
      length <= home.size - (table - home.address)
    else { throw refuse("its dynamic section is damaged") }
    // Within the segment, and so within the file.
    let names = read(at: home.offset + (table - home.address), count: length)
    guard names.count == Int(length) else { throw refuse("the file is cut short") }
    let suffix = Array(Self.suffix.utf8)
    var found: [String] = []
    for name in names.split(separator: 0) where name.count > suffix.count && name.count <= Self.symbolLimit {
      if name.suffix(suffix.count).elementsEqual(suffix) {
        found.append(String(decoding: name, as: UTF8.self))
      }
    }
    return found
  }

  private func refuse(_ reason: String) -> PluginError { .notALibrary(path: path, reason: reason) }

  /// The bytes at `offset`; fewer than `count` when the file ends before.
  private func read(at offset: UInt64, count: UInt64) -> [UInt8] {
    guard offset < size, let start = off_t(exactly: offset) else { return [] }
    let count = Int(min(count, size - offset))
    return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count, let base = buffer.baseAddress {
        let got = unsafe pread(descriptor, base + filled, count - filled, start + off_t(filled))
        guard got > 0 || (got < 0 && errno == EINTR) else { return }
        filled += max(got, 0)
      }
    }
  }

  private static let hostMachine: UInt64 = {
    #if arch(x86_64)
      62
    #elseif arch(arm64)
      183
    #else
      UInt64.max
    #endif
  }()
}

/// One file, by device and number.
struct FileIdentity: Hashable {
  var device: UInt64
  var number: UInt64
}

/// What an `errno` means, in lower case.
func systemReason(_ code: Int32) -> String {
  let text = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
  return text.prefix(1).lowercased() + text.dropFirst()
}

extension UInt8 {
  /// Whether it may be in the name of a C function.
  var isIdentifier: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}

extension [UInt8] {
  /// The little-endian number of `size` bytes at `offset`, which must lie within.
  fileprivate func number(_ offset: Int, _ size: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in (offset..<offset + size).reversed() { value = value << 8 | UInt64(self[index]) }
    return value
  }
}
