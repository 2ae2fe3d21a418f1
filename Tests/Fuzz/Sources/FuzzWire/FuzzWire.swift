import Wire

/// The formats that every input is read under.
let formats = [
  WireFormat(addressing: .chunkRanges32, signatureLength: 64, chunkSize: 1316, allowsExtensions: true),
  WireFormat(addressing: .chunkRanges64, signatureLength: 64, hashLength: 32, chunkSize: 1024),
  WireFormat(
    addressing: .chunkRanges32,
    signatureLength: 1,
    hashLength: 20,
    chunkSize: 1,
    allowsExtensions: true
  ),
  WireFormat(addressing: .chunkRanges64, signatureLength: 96, hashLength: 64, allowsExtensions: true),
  WireFormat(addressing: .chunkRanges32, chunkSize: 8),
  WireFormat(addressing: .bins32, signatureLength: 64, hashLength: 32, chunkSize: 16),
  WireFormat(addressing: .byteRanges64, signatureLength: 64, hashLength: 32, chunkSize: 16),
  WireFormat(addressing: .bins64, signatureLength: 64, hashLength: 32, chunkSize: 16),
]

/// Whatever can be read must be written as the bytes that it was read from, or as what reads the same.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = UnsafeBufferPointer(start: start, count: count)
  for format in formats { check(bytes, format) }
  return 0
}

func check(_ bytes: UnsafeBufferPointer<UInt8>, _ format: WireFormat) {
  guard var reader = try? DatagramReader(bytes.span) else {
    precondition(bytes.count < WireFormat.channelSize, "a datagram with a channel was refused")
    return
  }
  precondition(reader.isKeepAlive == (bytes.count == WireFormat.channelSize))
  var again: [UInt8] = []
  WireFormat.appendChannel(reader.destination, to: &again)
  precondition(again.elementsEqual(bytes.prefix(again.count)), "the channel changed on the way")
  var start = reader.offset
  do {
    while let message = try reader.next(format) {
      again.removeAll(keepingCapacity: true)
      format.append(message, to: &again)
      let original = bytes[start..<reader.offset]
      start = reader.offset
      if again.elementsEqual(original) { continue }
      // Messages about no chunks are passed over, and the bytes of a chunk are not all kept.
      if format.addressing.usesBins, original.reversed().starts(with: again.reversed()) { continue }
      if format.addressing == .byteRanges64, again.count == original.count {
        let same = try writes(again, format) == again
        precondition(same, "a byte range changed on the way")
        continue
      }
      // A bitmap of supported messages may end in zeros that a sender leaves off. Nothing else may differ.
      guard case .handshake(let view) = message, view.supported != nil, again.count < original.count else {
        preconditionFailure("a message changed on the way: \(Array(original)) \(again)")
      }
      let same = try reads([0, 0, 0, 0] + again, as: HandshakeOptions(view), format)
      precondition(same, "a handshake changed on the way")
    }
    precondition(reader.offset == bytes.count, "bytes were left without an error")
  } catch {
    precondition(!"\(error)".isEmpty)
    precondition(reader.nextType == nil, "something is left behind an error")
  }
}

/// What is written of the first message of a datagram.
func writes(_ message: [UInt8], _ format: WireFormat) throws -> [UInt8] {
  let datagram = [0, 0, 0, 0] + message
  var reader = try DatagramReader(datagram.span)
  var out: [UInt8] = []
  if let message = try reader.next(format) { format.append(message, to: &out) }
  return out
}

/// Whether a handshake that was written by us reads as what it was written from.
func reads(_ datagram: [UInt8], as options: HandshakeOptions, _ format: WireFormat) throws -> Bool {
  var reader = try DatagramReader(datagram.span)
  guard case .handshake(let view)? = try reader.next(format) else { return false }
  return HandshakeOptions(view) == options && reader.offset == datagram.count
}
