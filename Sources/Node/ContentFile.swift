import Glibc
import Integrity
import Net
import Swarm
import Text

/// A file whose bytes are content that does not change.
@safe struct ContentFile: ~Copyable {
  /// Bytes that are hashed between two looks at how far it is.
  private static let block = 4 << 20

  let path: String
  private(set) var byteCount: Int
  private let descriptor: Int32
  private let origin: stat

  private init(adopting descriptor: Int32, _ path: String, _ status: stat) {
    self.descriptor = descriptor
    self.path = path
    byteCount = status.st_size
    origin = status
  }

  deinit { close(descriptor) }

  /// Opens a file to be read.
  static func open(_ path: String) throws(NodeError) -> ContentFile {
    let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .file("cannot read '\(path)': \(SystemError(code: errno))") }
    return try adopt(descriptor, path)
  }

  /// Opens a file to be written, and creates it with `byteCount` bytes of its own on the disk, or what it has already.
  static func create(_ path: String, byteCount: Int) throws(NodeError) -> ContentFile {
    let isNew = unsafe access(path, F_OK) != 0
    let descriptor = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .file("cannot write '\(path)': \(SystemError(code: errno))") }
    // A page of a map that finds no room on the disk later would end the process.
    let code = posix_fallocate(descriptor, 0, byteCount)
    guard code == 0 else {
      close(descriptor)
      if isNew { unsafe unlink(path) }
      guard code == ENOSPC else { throw .file("cannot write '\(path)': \(SystemError(code: code))") }
      throw .file("the disk has no room for '\(path)', which takes \(UInt64(byteCount).grouped) bytes")
    }
    return try adopt(descriptor, path)
  }

  /// Creates a file without a name, which is gone when nobody has it open any more.
  static func createUnnamed(byteCount: Int) throws(NodeError) -> ContentFile {
    let folder = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/var/tmp"
    var path = Array("\(folder)/freshet-XXXXXX".utf8CString)
    let descriptor = unsafe mkstemp(&path)
    guard descriptor >= 0 else {
      throw .file(
        "cannot keep in '\(folder)' what is fetched: \(SystemError(code: errno)); TMPDIR names another folder"
      )
    }
    unsafe unlink(path)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    let code = posix_fallocate(descriptor, 0, byteCount)
    guard code == 0 else {
      close(descriptor)
      throw .file(
        "cannot keep \(UInt64(byteCount).grouped) bytes in '\(folder)' while they are fetched: "
          + "\(SystemError(code: code)); TMPDIR names another folder"
      )
    }
    return try adopt(descriptor, folder)
  }

  /// The open file once more, for whom it is to outlive this value; -1 when no more can be open.
  func duplicate() -> Int32 { fcntl(descriptor, F_DUPFD_CLOEXEC, 0) }

  private static func adopt(_ descriptor: Int32, _ path: String) throws(NodeError) -> ContentFile {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw .file("'\(path)' is no regular file")
    }
    guard status.st_size > 0 else {
      close(descriptor)
      throw .file("'\(path)' is empty, and nothing can be named after it")
    }
    return ContentFile(adopting: descriptor, path, status)
  }

  /// Whether nobody has written to it since it was opened.
  var isUnchanged: Bool {
    var status = stat()
    return unsafe fstat(descriptor, &status) == 0 && status.st_size == origin.st_size
      && status.st_mtim.tv_sec == origin.st_mtim.tv_sec && status.st_mtim.tv_nsec == origin.st_mtim.tv_nsec
  }

  /// The bytes as memory, which is unmapped when nobody needs it any more.
  func map(isWritable: Bool) throws(NodeError) -> ContentMemory {
    let count = byteCount
    let access = isWritable ? PROT_READ | PROT_WRITE : PROT_READ
    guard let start = unsafe mmap(nil, count, access, MAP_SHARED, descriptor, 0), unsafe start != MAP_FAILED
    else {
      throw .file("cannot map '\(path)' into memory: \(SystemError(code: errno))")
    }
    return unsafe ContentMemory(UnsafeMutableRawBufferPointer(start: start, count: count)) {
      unsafe munmap(start, count)
    }
  }

  /// Reads bytes as they are on the disk; fewer than `count` where the file ends.
  func read(_ count: Int, at offset: Int, into buffer: inout [UInt8]) throws(NodeError) -> Int {
    if buffer.count < count { buffer += [UInt8](repeating: 0, count: count - buffer.count) }
    var total = 0
    while total < count {
      let done = unsafe buffer.withUnsafeMutableBytes { bytes in
        unsafe pread(descriptor, bytes.baseAddress.map { unsafe $0 + total }, count - total, offset + total)
      }
      if done == 0 { break }
      if done < 0, errno != EINTR { throw .file("cannot read '\(path)': \(SystemError(code: errno))") }
      total += max(done, 0)
    }
    return total
  }

  /// Cuts it to its length.
  mutating func truncate(to length: UInt64) throws(NodeError) {
    guard ftruncate(descriptor, Int(length)) == 0 else {
      throw .file("cannot write '\(path)': \(SystemError(code: errno))")
    }
  }

  /// Makes the tree of its chunks; `progress` hears from time to time which part of it is done.
  func tree(
    _ function: HashFunction,
    chunkSize: Int,
    _ progress: (Double) -> Void
  ) throws(NodeError) -> MerkleTree {
    var builder = try NodeError.integrity { () throws(IntegrityError) in
      try MerkleTree.Builder(function, chunkSize: chunkSize)
    }
    var buffer: [UInt8] = []
    let block = max(Self.block / chunkSize, 1) * chunkSize
    var offset = 0
    while offset < byteCount {
      let count = try read(min(block, byteCount - offset), at: offset, into: &buffer)
      guard count > 0 else { throw .file("'\(path)' became shorter while it was read") }
      var start = 0
      while start < count {
        let end = min(start + chunkSize, count)
        do throws(IntegrityError) {
          try unsafe builder.append(buffer.span.bytes.extracting(start..<end))
        } catch { throw .integrity(error) }
        start = end
      }
      offset += count
      progress(Double(offset) / Double(byteCount))
    }
    do throws(IntegrityError) { return try builder.finish() } catch { throw .integrity(error) }
  }
}
