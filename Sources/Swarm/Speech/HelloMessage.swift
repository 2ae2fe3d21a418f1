import Integrity
package import PluginKit
import Wire

/// The hello: who a peer is, proven by an Ed25519 signature over both channel numbers.
///
/// The numbers are random, so a hello cannot be kept and replayed. One who sits between two peers and opens a channel to
/// each with the other's number can still pass their hellos on; chunks stay safe then, and the topology's messages do not.
/// It begins with the magic that must match before anything else of the extension is said.
package struct HelloMessage: Equatable {
  private static let magic: UInt64 = 0x4652_4553_4845_5401
  private static let purpose = Array("freshet hello 1\0".utf8)
  /// The most that a peer may claim to carry, in bits per second.
  private static let rateLimit: UInt64 = 1 << 50

  /// Whether the sender has seen our hello.
  package var isReply: Bool
  /// Whether the sender lacks the swarm's descriptor.
  package var wantsDescriptor: Bool
  package var hello: Hello

  /// A hello whose proof has still to be checked.
  package struct Unproven {
    package let message: HelloMessage
    fileprivate let claim: ArraySlice<UInt8>
    fileprivate let publicKey: [UInt8]
    fileprivate let signature: [UInt8]

    /// Whether its proof holds on the channel between `sender` and `receiver`.
    package func isProven(from sender: UInt32, to receiver: UInt32) -> Bool {
      let signed = HelloMessage.signed(claim, sender, receiver)
      return unsafe PeerIdentity.verify(
        publicKey: publicKey.span.bytes,
        signature: signature.span.bytes,
        of: signed.span.bytes
      )
    }
  }

  func encode(_ identity: PeerIdentity, from sender: UInt32, to receiver: UInt32) -> [UInt8]? {
    var body: [UInt8] = []
    body.appendInteger(Self.magic)
    body.append(
      (isReply ? 1 : 0) | (wantsDescriptor ? 2 : 0) | (hello.isAttached ? 4 : 0)
        | (hello.capacity.isReachable ? 8 : 0)
    )
    body.appendInteger(hello.depth.map { UInt16(clamping: $0) } ?? .max)
    body.appendInteger(hello.capacity.upload)
    body.appendInteger(hello.capacity.download)
    body.appendInteger(UInt32(clamping: hello.capacity.uptime.components.seconds))
    body.append(hello.address.tag)
    body.append(UInt8(hello.address.count))
    body += hello.address.bytes
    body += identity.publicKey
    let signed = Self.signed(body[...], sender, receiver)
    guard let signature = unsafe try? identity.sign(signed.span.bytes) else { return nil }
    return body + signature
  }

  /// Reads a hello that came on the channel between `sender` and `receiver`; nil unless its proof holds.
  ///
  /// An address of zeros stands for where the datagram came from, and so does one that is not credible.
  init?(_ span: RawSpan, from sender: UInt32, to receiver: UInt32, observed: Address) {
    guard let hello = Self.read(span, observed: observed), hello.isProven(from: sender, to: receiver) else {
      return nil
    }
    self = hello.message
  }

  /// Reads a hello without checking its proof; nil when it is none.
  package static func read(_ span: RawSpan, observed: Address) -> Unproven? {
    var reader = ByteReader(span)
    let body = reader.rest()
    guard body.count > PeerIdentity.signatureLength else { return nil }
    let signature = Array(body.suffix(PeerIdentity.signatureLength))
    let claim = body.dropLast(PeerIdentity.signatureLength)
    var fields = unsafe ByteReader(claim.span.bytes)
    do throws(DecodeError) {
      guard try fields.read(UInt64.self) == Self.magic else { return nil }
      let flags = try fields.read(UInt8.self)
      let depth = try fields.read(UInt16.self)
      let upload = min(try fields.read(UInt64.self), Self.rateLimit)
      let download = min(try fields.read(UInt64.self), Self.rateLimit)
      let uptime = try fields.read(UInt32.self)
      let tag = try fields.read(UInt8.self)
      let bytes = try fields.copy(Int(fields.read(UInt8.self)))
      guard fields.remaining == 32, var address = Address(tag: tag, bytes: bytes) else { return nil }
      let key = fields.rest()
      if !address.isCredible(from: observed) { address = observed }
      guard let id = PeerID(PeerIdentity.id(of: key)) else { return nil }
      let hello = Hello(
        id: id,
        capacity: Capacity(
          upload: upload,
          download: download,
          isReachable: flags & 8 != 0,
          uptime: .seconds(Int64(uptime))
        ),
        isAttached: flags & 4 != 0,
        depth: depth == .max ? nil : Int(depth),
        address: address
      )
      let message = HelloMessage(
        isReply: flags & 1 != 0,
        wantsDescriptor: flags & 2 != 0,
        hello: hello
      )
      return Unproven(message: message, claim: claim, publicKey: key, signature: signature)
    } catch { return nil }
  }

  init(isReply: Bool, wantsDescriptor: Bool, hello: Hello) {
    self.isReply = isReply
    self.wantsDescriptor = wantsDescriptor
    self.hello = hello
  }

  private static func signed(_ body: ArraySlice<UInt8>, _ sender: UInt32, _ receiver: UInt32) -> [UInt8] {
    var bytes = purpose
    bytes.appendInteger(sender)
    bytes.appendInteger(receiver)
    bytes += body
    return bytes
  }
}

extension Address {
  /// Whether a peer that is heard from `observed` may be told to others as being here.
  ///
  /// Who could name any address could send all that join to somebody who has nothing to do with them. A peer behind a
  /// router is heard from another address than others reach it at; one that is heard from the Internet is not, but for
  /// the port, or for its address of the other family.
  fileprivate func isCredible(from observed: Address) -> Bool {
    let host = bytes.dropLast(2)
    if host.allSatisfy({ $0 == 0 }) { return false }
    return tag != observed.tag || host == observed.bytes.dropLast(2) || observed.network != .internet
  }
}
