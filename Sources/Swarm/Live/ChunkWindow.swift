import PluginKit
import Wire

/// The newest verified chunks of a stream, with what was signed beside them (RFC 7574, section 6.2).
///
/// One block of bytes: slot `n mod slots` holds signature and payload of chunk `n`. A chunk is copied into it once, and
/// sent from where it lies. It is evicted by count: only the `size` newest numbers are held.
struct ChunkWindow {
  /// The most bytes that a window may take.
  static let byteLimit = 1 << 30

  private struct Slot {
    var chunk = UInt64.max
    var timestamp: UInt64 = 0
    var length: Int32 = -1
    var isEntry = false
    var arrival: Duration = .zero
  }

  let size: UInt64
  let signatureLength: Int
  private let stride: Int
  /// Signatures and payloads; none where they are ``shared``.
  private var own: [UInt8]
  private let shared: SharedChunks?
  private var slots: [Slot]
  private(set) var held = IntervalSet()
  private(set) var newestEntry: UInt64?

  /// A window of `size` chunks, or of fewer when they would take more than ``byteLimit``.
  ///
  /// Where chunks are shared, their bytes lie there, and here only what this peer knows of them.
  init(size: UInt64, chunkSize: Int, signatureLength: Int, shared: SharedChunks? = nil) {
    stride = (signatureLength + chunkSize + 15) / 16 * 16
    self.shared = shared
    let count = max(1, min(Int(clamping: size), Self.byteLimit / stride))
    self.size = UInt64(count)
    self.signatureLength = signatureLength
    let total = shared == nil ? count * stride : 0
    // Left as the system gives it, so that a window costs memory only where chunks lie.
    own = unsafe [UInt8](unsafeUninitializedCapacity: total) { _, initialized in initialized = total }
    slots = [Slot](repeating: Slot(), count: count)
  }

  /// Lends the memory in which all chunks lie.
  func withBytes(_ body: (RawSpan) -> Void) {
    if let memory = shared?.memory {
      body(memory.bytes)
    } else {
      unsafe body(own.span.bytes)
    }
  }

  var newest: UInt64? { held.highest }

  /// The oldest number that may be held.
  var first: UInt64 {
    guard let newest else { return 0 }
    return newest >= size ? newest - size + 1 : 0
  }

  var state: WindowState {
    WindowState(first: first, last: newest, newestEntry: newestEntry, size: size)
  }

  func contains(_ chunk: UInt64) -> Bool {
    let slot = slots[Int(chunk % UInt64(slots.count))]
    return slot.chunk == chunk && slot.length >= 0 && chunk >= first
  }

  /// Copies a verified chunk in; false when it is too old, or here already.
  mutating func store(
    _ chunk: UInt64,
    timestamp: UInt64,
    signature: RawSpan,
    payload: RawSpan,
    isEntry: Bool,
    arrival: Duration
  ) -> Bool {
    guard chunk >= first, !contains(chunk), signature.byteCount == signatureLength,
      signatureLength + payload.byteCount <= stride
    else { return false }
    let index = Int(chunk % UInt64(slots.count))
    if let shared {
      shared.store(chunk, signature, payload)
    } else {
      copy(signature, to: index * stride)
      copy(payload, to: index * stride + signatureLength)
    }
    slots[index] = Slot(
      chunk: chunk,
      timestamp: timestamp,
      length: Int32(payload.byteCount),
      isEntry: isEntry,
      arrival: arrival
    )
    held.insert(chunk...chunk)
    held.remove(below: first)
    if isEntry { newestEntry = max(newestEntry ?? 0, chunk) }
    if let entry = newestEntry, entry < first { newestEntry = nil }
    return true
  }

  func timestamp(of chunk: UInt64) -> UInt64? { contains(chunk) ? slot(chunk).timestamp : nil }
  func isEntry(_ chunk: UInt64) -> Bool { contains(chunk) && slot(chunk).isEntry }
  func arrival(of chunk: UInt64) -> Duration { slot(chunk).arrival }
  func length(of chunk: UInt64) -> Int { Int(slot(chunk).length) }

  /// Where the payload of a held chunk lies among the bytes of all.
  func payload(of chunk: UInt64) -> Slice {
    Slice(offset: offset(of: chunk) + signatureLength, count: length(of: chunk))
  }

  /// Lends the payload of a held chunk.
  func withPayload(of chunk: UInt64, _ body: (RawSpan) -> Void) {
    withBytes { body($0.extracting(payload(of: chunk).range)) }
  }

  /// Appends SIGNED_INTEGRITY of a held chunk, as its source signed it.
  func appendSignedIntegrity(of chunk: UInt64, _ format: WireFormat, to out: inout [UInt8]) {
    withBytes { bytes in
      format.appendSignedIntegrity(
        chunk...chunk,
        timestamp: slot(chunk).timestamp,
        signature: bytes.extracting(signature(of: chunk)),
        to: &out
      )
    }
  }

  /// Where the signature of a held chunk lies among the bytes of all.
  func signature(of chunk: UInt64) -> Range<Int> {
    let start = offset(of: chunk)
    return start..<start + signatureLength
  }

  /// Where the chunk that stands in a number's slot would be overwritten.
  func occupant(of chunk: UInt64) -> UInt64? {
    let slot = slots[Int(chunk % UInt64(slots.count))]
    return slot.length >= 0 && slot.chunk != chunk ? slot.chunk : nil
  }

  private func offset(of chunk: UInt64) -> Int {
    shared?.offset(of: chunk) ?? Int(chunk % UInt64(slots.count)) * stride
  }

  private func slot(_ chunk: UInt64) -> Slot { slots[Int(chunk % UInt64(slots.count))] }

  private mutating func copy(_ source: RawSpan, to offset: Int) {
    guard source.byteCount > 0 else { return }
    unsafe own.withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + source.count])
          .copyMemory(from: source)
      }
    }
  }
}
