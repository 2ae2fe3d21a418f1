import Glibc
import Integrity
import Net
import PluginKit
import Swarm
import Wire

/// The file that content is fetched into, under another name until it is all there.
///
/// Beside `FILE.part` stands `FILE.part.hashes`, with the hashes of the tree as far as they were known; both are gone when
/// the content is complete. Content that is only piped lies in a file without a name, and nothing stands beside it.
final class PartialFile {
  /// Hashes are written at most this often, and take no more than this part of the time.
  private static let shortestInterval: Duration = .seconds(2)
  private static let workShare = 50

  /// Nil for a file without a name.
  private let output: String?
  private var file: ContentFile?
  private var nextSave: Duration = .zero

  init(_ output: String?) { self.output = output }

  /// What is on the disk of some content, every chunk of it hashed again; nil when nothing is.
  func resume(
    _ root: RootHash,
    chunkSize: Int,
    order: Content.Order,
    _ progress: (Double) -> Void
  ) throws(NodeError) -> (content: Content, held: UInt64)? {
    guard let part = output.map(Self.part), unsafe access(part, F_OK) == 0,
      var tree = snapshot(root, chunkSize), let count = tree.chunkCount
    else {
      return nil
    }
    let found = try ContentFile.open(part)
    let length = found.byteCount
    let file = try ContentFile.create(part, byteCount: Int(count) * chunkSize)
    var held = IntervalSet(limit: .max)
    let none = PendingHashes(root.function)
    var buffer: [UInt8] = []
    for chunk in 0..<count where tree.knowsHash(of: chunk) {
      let offset = Int(chunk) * chunkSize
      let bytes = try found.read(min(chunkSize, max(length - offset, 0)), at: offset, into: &buffer)
      guard bytes > 0 else { break }
      if unsafe tree.verify(chunk, buffer.span.bytes.extracting(0..<bytes), none) == .genuine {
        held.insert(chunk...chunk)
      }
      if chunk % 4096 == 0 { progress(Double(chunk) / Double(count)) }
    }
    guard tree.isSizeCertain, !held.isEmpty else { return nil }
    let memory = try file.map(isWritable: true)
    self.file = consume file
    return (Content(resuming: tree, memory, held: held, order: order), held.count)
  }

  private func snapshot(_ root: RootHash, _ chunkSize: Int) -> MerkleTree? {
    guard let hashes = output.map(Self.hashes) else { return nil }
    do throws(NodeError) {
      let file = try ContentFile.open(hashes)
      var bytes: [UInt8] = []
      let count = try file.read(file.byteCount, at: 0, into: &bytes)
      return try? unsafe MerkleTree(
        root,
        chunkSize: chunkSize,
        snapshot: bytes.span.bytes.extracting(0..<count)
      )
    } catch { return nil }
  }

  /// Makes room for all chunks.
  func create(byteCount: Int) throws(NodeError) -> ContentMemory {
    let file =
      if let output {
        try ContentFile.create(Self.part(output), byteCount: byteCount)
      } else {
        try ContentFile.createUnnamed(byteCount: byteCount)
      }
    let memory = try file.map(isWritable: true)
    self.file = consume file
    return memory
  }

  /// The open file once more, for one who reads it; nil before there is one.
  func duplicate() throws(NodeError) -> Int32? {
    guard let descriptor = file?.duplicate() else { return nil }
    guard descriptor >= 0 else { throw .file("what is fetched cannot be read: \(SystemError(code: errno))") }
    return descriptor
  }

  /// The length of the content is known.
  func truncate(to length: UInt64) throws(NodeError) { try file?.truncate(to: length) }

  /// Writes the hashes when it is time to, so that a later fetch can go on from here.
  func save(_ peer: borrowing Peer, _ clock: Clock, isLast: Bool = false) throws(NodeError) {
    let now = clock.now
    guard file != nil, let hashes = output.map(Self.hashes), isLast || now >= nextSave else { return }
    let new = hashes + ".new"
    let stream = unsafe fopen(new, "we")
    var code: Int32 = errno
    if let stream = unsafe stream {
      code = 0
      peer.withTree { tree in
        tree.snapshot { bytes in
          unsafe bytes.withUnsafeBytes { bytes in
            if unsafe fwrite(bytes.baseAddress, 1, bytes.count, stream) != bytes.count { code = errno }
          }
        }
      }
      if unsafe fclose(stream) != 0 { code = errno }
      if code == 0, unsafe rename(new, hashes) != 0 { code = errno }
    }
    guard code == 0 else {
      unsafe unlink(new)
      throw .file("cannot write '\(new)': \(SystemError(code: code))")
    }
    nextSave = clock.now + max(Self.shortestInterval, (clock.now - now) * Self.workShare)
  }

  /// All is there: it gets its name.
  func finish() throws(NodeError) {
    guard let output else { return }
    let part = Self.part(output)
    guard unsafe rename(part, output) == 0 else {
      throw .file("cannot rename '\(part)' to '\(output)': \(SystemError(code: errno))")
    }
    unsafe unlink(Self.hashes(output))
  }

  private static func part(_ output: String) -> String { output + ".part" }
  private static func hashes(_ output: String) -> String { part(output) + ".hashes" }
}
