import Integrity
import PluginKit
package import Wire

/// What the stream's key says about its swarm: how a viewer learns which topology to run, and how a swap is announced.
///
/// Signed with a prefix that no chunk can have.
package struct SwarmDescriptor: Hashable, Sendable, ExtensionBody {
  /// How chunks are dealt to stripes.
  package enum StripeRule: UInt8, Hashable, Sendable {
    /// Chunk `c` belongs to stripe `c mod stripes`.
    case modulo = 1
  }

  private static let version: UInt8 = 1
  private static let textLimit = 512

  /// Counts the topologies that the swarm has run; a greater one supersedes.
  package var epoch: UInt32
  /// Bits of payload per second.
  package var rate: UInt64
  package var stripes: Int
  package var rule = StripeRule.modulo
  /// When the broadcast began, as an NTP timestamp.
  package var captureStart: UInt64
  /// The first chunk that this epoch's topology carries.
  package var validFrom: UInt64
  package var topology: String
  package var parameters: String

  /// Whether it takes the place of another: of a later broadcast under the same key, or of a later epoch.
  ///
  /// A broadcast that was started again counts its epochs anew. What is older, or the same once more, is nothing new.
  func supersedes(_ other: SwarmDescriptor?) -> Bool {
    guard let other else { return true }
    return (captureStart, epoch) > (other.captureStart, other.epoch)
  }

  /// Whether who runs this one need not change anything to run another.
  func runs(_ other: SwarmDescriptor) -> Bool {
    epoch == other.epoch && topology == other.topology && parameters == other.parameters
      && stripes == other.stripes
  }

  func encode() -> [UInt8] {
    var bytes: [UInt8] = [Self.version]
    bytes.appendInteger(epoch)
    bytes.appendInteger(rate)
    bytes.append(UInt8(clamping: stripes))
    bytes.append(rule.rawValue)
    bytes.appendInteger(captureStart)
    bytes.appendInteger(validFrom)
    for text in [topology, parameters] {
      let utf8 = text.utf8.prefix(Self.textLimit)
      bytes.appendInteger(UInt16(utf8.count))
      bytes += utf8
    }
    return bytes
  }

  init(
    epoch: UInt32,
    rate: UInt64,
    stripes: Int,
    captureStart: UInt64,
    validFrom: UInt64,
    topology: String,
    parameters: String
  ) {
    self.epoch = epoch
    self.rate = rate
    self.stripes = stripes
    self.captureStart = captureStart
    self.validFrom = validFrom
    self.topology = topology
    self.parameters = parameters
  }

  /// Reads a descriptor whose signature has been checked; nil when it is of a version or shape that is not known.
  package init?(reading reader: inout ByteReader) throws(DecodeError) {
    guard try reader.read(UInt8.self) == Self.version else { return nil }
    epoch = try reader.read()
    rate = try reader.read()
    stripes = Int(try reader.read(UInt8.self))
    guard let rule = StripeRule(rawValue: try reader.read()), 1...StripeSet.limit ~= stripes else {
      return nil
    }
    self.rule = rule
    captureStart = try reader.read()
    validFrom = try reader.read()
    guard let topology = try Self.text(&reader), let parameters = try Self.text(&reader) else { return nil }
    self.topology = topology
    self.parameters = parameters
  }

  /// What is shown to the user: printable ASCII.
  private static func text(_ reader: inout ByteReader) throws(DecodeError) -> String? {
    let count = Int(try reader.read(UInt16.self))
    guard count <= textLimit else { return nil }
    let bytes = try reader.copy(count)
    return bytes.allSatisfy { 0x20...0x7E ~= $0 } ? String(decoding: bytes, as: UTF8.self) : nil
  }
}
