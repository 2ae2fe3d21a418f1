/// Why a datagram, or the rest of one, could not be read.
///
/// The messages before the bad one stand (RFC 7574, section 3). Offsets count bytes from the start of the datagram.
public enum DecodeError: Error, Hashable, Sendable {
  /// A field at `offset` needs more bytes than the datagram still has.
  case truncated(offset: Int, needed: Int, available: Int)
  /// A message type that is unassigned, or an extension where none was agreed on.
  case unknownMessage(UInt8, offset: Int)
  /// INTEGRITY or SIGNED_INTEGRITY in a swarm whose format gives the hash or the signature no length.
  case unexpectedMessage(UInt8, offset: Int)
  /// A HANDSHAKE behind another message (section 3.1).
  case handshakeNotFirst(offset: Int)
  /// A range that ends before it starts.
  case reversedRange(first: UInt64, last: UInt64)
  /// A byte range that starts inside a chunk.
  case unalignedRange(first: UInt64, chunkSize: UInt64)
  /// The bin of no chunks in a message that must name some (section 4.2).
  case noChunks(offset: Int)
  /// DATA that does not describe exactly one chunk (section 8.6).
  case notOneChunk(first: UInt64, last: UInt64)
  /// DATA with more or fewer bytes than its byte range.
  case dataOfOtherLength(length: Int, named: UInt64)
  /// DATA with more bytes than a chunk has.
  case dataTooLong(length: Int, chunkSize: Int)
  /// One of several DATA messages that is shorter than a chunk, or no DATA at the end of such a datagram.
  case dataTooShort(length: Int, chunkSize: Int)
  /// An option code from the unassigned range; its length is unknown, so nothing behind it can be read.
  case unknownOption(UInt8)
  /// An option that is repeated, or stands behind one with a higher code.
  case optionOutOfOrder(UInt8, after: UInt8)
  /// A value that the option's table does not define.
  case invalidOption(HandshakeOption, value: UInt64)
  /// Chunks of variable size that are named by the bytes they begin and end at.
  case variableByteRanges
  /// A live discard window whose width is unknown because no chunk addressing method precedes it (section 7.9).
  case windowWithoutAddressing
  /// A closing HANDSHAKE with other options than the version (section 8.4).
  case closingWithOption(HandshakeOption)
}

extension DecodeError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .truncated(let offset, let needed, let available):
      "the datagram ends early: \(needed) bytes needed at offset \(offset), \(available) there"
    case .unknownMessage(let type, let offset): "unknown message type \(type) at offset \(offset)"
    case .unexpectedMessage(let type, let offset):
      "message type \(type) at offset \(offset) has no meaning in this swarm"
    case .handshakeNotFirst(let offset): "a handshake at offset \(offset) is not the first message"
    case .reversedRange(let first, let last): "the range \(first)-\(last) ends before it starts"
    case .unalignedRange(let first, let chunkSize):
      "byte \(first) is inside a chunk of \(chunkSize) bytes, and a range starts with a chunk"
    case .noChunks(let offset): "the bin at offset \(offset) names no chunk"
    case .dataOfOtherLength(let length, let named): "\(length) bytes of data for a range of \(named)"
    case .variableByteRanges: "byte ranges cannot name chunks of variable size"
    case .notOneChunk(let first, let last): "data for \(first)-\(last), which is not one chunk"
    case .dataTooLong(let length, let chunkSize): "\(length) bytes of data where a chunk has \(chunkSize)"
    case .dataTooShort(let length, let chunkSize):
      "\(length) bytes of data where several chunks of \(chunkSize) bytes were begun"
    case .unknownOption(let code): "unknown handshake option \(code)"
    case .optionOutOfOrder(let code, let previous): "handshake option \(code) after option \(previous)"
    case .invalidOption(let option, let value): "handshake option \(option) has the undefined value \(value)"
    case .windowWithoutAddressing: "a live discard window before any chunk addressing method"
    case .closingWithOption(let option): "a closing handshake with option \(option)"
    }
  }
}
