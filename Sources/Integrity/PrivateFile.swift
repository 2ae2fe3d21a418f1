internal import Glibc

/// A file descriptor, closed with its last use.
struct FileDescriptor: ~Copyable {
  let raw: Int32

  init(adopting raw: Int32) { self.raw = raw }

  deinit { close(raw) }
}

/// Small files that only their owner may read.
enum PrivateFile {
  /// Writes a file that must not exist; what was begun is removed when it fails.
  static func create(_ path: String, _ bytes: [UInt8]) throws(IntegrityError) {
    let raw = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    if raw < 0, errno == EEXIST || errno == EISDIR {
      var status = stat()
      guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
        throw .keyExists(path: path)
      }
      throw .file(path: path, action: "created", reason: "it is a folder; name a file in it")
    }
    guard raw >= 0 else { throw failure(path, "created") }
    let file = FileDescriptor(adopting: raw)
    do throws(IntegrityError) {
      try write(file, path, bytes)
      try synchronizeFolder(of: path)
    } catch {
      unsafe unlink(path)
      throw error
    }
  }

  /// Makes a folder that only its owner may look into; one that is there already will do.
  static func createFolder(_ path: String) throws(IntegrityError) {
    try IntegrityError.checkPath(path)
    guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure(path, "created") }
  }

  /// Puts a file in the place of another, so that at any time one of the two is there whole.
  ///
  /// Returns when the disk has it. Only one caller at a time may do this with one path.
  static func replace(_ path: String, _ bytes: [UInt8]) throws(IntegrityError) {
    let draft = path + ".new"
    let raw = unsafe open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard raw >= 0 else { throw failure(draft, "created") }
    let file = FileDescriptor(adopting: raw)
    try write(file, draft, bytes)
    guard unsafe rename(draft, path) == 0 else { throw failure(path, "replaced") }
    try synchronizeFolder(of: path)
  }

  /// Opens a regular file for reading, or returns nil when there is none.
  static func openExisting(_ path: String) throws(IntegrityError) -> FileDescriptor? {
    // A pipe would otherwise wait for its other end.
    let raw = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    if raw < 0, errno == ENOENT { return nil }
    guard raw >= 0 else { throw failure(path, "opened") }
    let file = FileDescriptor(adopting: raw)
    guard try status(file, path).st_mode & S_IFMT == S_IFREG else {
      throw .file(path: path, action: "used", reason: "it is not a regular file")
    }
    return file
  }

  static func status(_ file: borrowing FileDescriptor, _ path: String) throws(IntegrityError) -> stat {
    var status = stat()
    guard unsafe fstat(file.raw, &status) == 0 else { throw failure(path, "examined") }
    return status
  }

  /// Reads a file from where it stands.
  ///
  /// A longer one than `limit` bytes is cut one byte past it.
  static func read(
    _ file: borrowing FileDescriptor,
    _ path: String,
    limit: Int
  ) throws(IntegrityError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: limit + 1)
    var end = 0
    while end < bytes.count {
      let count = unsafe bytes[end...].withUnsafeMutableBytes {
        unsafe Glibc.read(file.raw, $0.baseAddress, $0.count)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(path, "read") }
      guard count > 0 else { break }
      end += count
    }
    bytes.removeSubrange(end...)
    return bytes
  }

  /// The path without symbolic links, so that a file has one name however it was called.
  static func resolve(_ path: String) throws(IntegrityError) -> String {
    guard let resolved = unsafe realpath(path, nil) else { throw failure(path, "found") }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  static func failure(_ path: String, _ action: String) -> IntegrityError {
    .file(path: path, action: action, reason: unsafe String(cString: strerror(errno)))
  }

  private static func write(
    _ file: borrowing FileDescriptor,
    _ path: String,
    _ bytes: [UInt8]
  ) throws(IntegrityError) {
    var start = 0
    while start < bytes.count {
      let count = unsafe bytes[start...].withUnsafeBytes {
        unsafe Glibc.write(file.raw, $0.baseAddress, $0.count)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(path, "written") }
      start += count
    }
    guard fsync(file.raw) == 0 else { throw failure(path, "written") }
  }

  /// Makes the name of a new file last through a loss of power.
  private static func synchronizeFolder(of path: String) throws(IntegrityError) {
    let folder =
      switch path.lastIndex(of: "/") {
      case path.startIndex?: "/"
      case let slash?: String(path[..<slash])
      case nil: "."
      }
    let raw = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard raw >= 0 else { throw failure(folder, "opened") }
    let descriptor = FileDescriptor(adopting: raw)
    // Some file systems have nothing to do here and say so.
    guard fsync(descriptor.raw) == 0 || errno == EINVAL else { throw failure(folder, "written") }
  }
}

extension PrivateFile {
  /// The most bytes of a file with a key or certificates.
  private static let limit = 65_536

  /// Reads a file that only its owner may read; `missing` says what to do when there is none.
  static func load(_ path: String, missing: String) throws(IntegrityError) -> [UInt8] {
    try IntegrityError.checkPath(path)
    guard let file = try openExisting(path) else {
      throw .file(path: path, action: "opened", reason: "there is no such file; \(missing)")
    }
    let mode = try status(file, path).st_mode & 0o777
    guard mode & 0o077 == 0 else { throw .keyExposed(path: path, mode: mode) }
    let text = try read(file, path, limit: limit)
    guard text.count <= limit else { throw .invalidCertificateFile(path: path, reason: "it is too long") }
    return text
  }
}
