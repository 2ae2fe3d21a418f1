import Integrity
import PluginKit
import Wire

// Closed swarms (RFC 7574, sections 12.2 and 12.3): who shows no membership certificate is not answered.
//
// The RFC has peers show their certificates in PEX_REScert and leaves open when. Here the initiator's stands directly
// behind its HANDSHAKE in the first datagram, so that the other side decides before it answers or keeps anything; the
// responder's stands behind its HANDSHAKE where the answer stays no longer than what came, and before each of its hellos.
// One certificate of at most 1,024 bytes is not the heavy payload that section 3.1.1 forbids there: nothing goes out for it
// that is longer.
//
// A certificate is public, so it alone shows nothing. One with an address is good from there only, which the handshake
// proves. One without is good when the hello has proven that its sender has the certificate's key: until then a newcomer
// gets the answer to its handshake and nothing more. Freshet peers prove the key in any case.
extension Peer {
  private var unixTime: Duration { configuration.clockOffset + now }

  /// Appends our certificate, in a closed swarm.
  func appendCertificate(to bytes: inout [UInt8]) {
    guard let der = configuration.membership?.certificate.der else { return }
    unsafe WireFormat.appendPexCertificate(der.span.bytes, to: &bytes)
  }

  /// The bytes that our certificate takes in a datagram.
  var certificateLength: Int { configuration.membership.map { 3 + $0.certificate.der.count } ?? 0 }

  /// Reads the certificate that a first datagram, or the answer to ours, shows behind its handshake.
  mutating func readMember(_ reader: inout DatagramReader, from address: Address) throws(DecodeError)
    -> Member?
  {
    guard reader.nextType == MessageType.pexCertificate,
      case .pexCertificate(let der)? = try reader.next(plainFormat)
    else { return nil }
    return member(der, at: address)
  }

  /// The member that a certificate shown from an address is about.
  private mutating func member(_ der: RawSpan, at address: Address) -> Member? {
    guard let member = check(der), member.address ?? address == address else { return nil }
    return member
  }

  private mutating func check(_ der: RawSpan) -> Member? {
    guard let authority = configuration.membership?.authority,
      let member = gate.check(der, authority, unixTime: unixTime, now: now)
    else {
      counters.rejected += 1
      return nil
    }
    return member
  }

  /// Whether a channel's other side has shown all that membership takes; true in an open swarm.
  func isAdmitted(_ index: Int) -> Bool {
    guard configuration.membership != nil else { return true }
    guard let member = channels[index].member else { return false }
    return member.address != nil || channels[index].speech == .proven
  }

  /// Whether a message counts that comes before the other side is admitted.
  func mayRead(_ type: UInt8?, _ index: Int) -> Bool {
    if configuration.membership == nil || isAdmitted(index) { return true }
    // Of the extension, only hellos count before the id is proven.
    return type == MessageType.handshake || type == MessageType.pexCertificate
      || type == Message.extensionType
  }

  /// Whether a peer that has proven an id is the member whose certificate it showed; nil when that is still to come.
  func isMember(_ index: Int, _ id: PeerID) -> Bool? {
    guard configuration.membership != nil else { return true }
    return channels[index].member.map { $0.id == id }
  }

  /// A certificate on an open channel: the other side's own, or one that answers our question for peers.
  mutating func readCertificate(_ index: Int, _ der: RawSpan) {
    guard configuration.membership != nil else { return }
    guard channels[index].member != nil else {
      channels[index].member = member(der, at: channels[index].address)
      return
    }
    guard isAwaitedHint(index) else { return }
    guard let member = check(der) else {
      // Section 12.2.2: of those who send bad ones a few are checked.
      channels[index].exchange.defective += 1
      return
    }
    if let address = member.address, address.mayBeTold(to: channels[index].address) {
      note(hint: address, from: index)
    }
  }

  /// How long a channel stays whose other side has not shown all that membership takes.
  private static let admissionLimit: Duration = .seconds(5)

  /// Parts from those whose certificates have run out, or never came.
  mutating func reviewMembers() {
    guard let own = configuration.membership?.certificate else { return }
    if unixTime >= own.notAfter, unixTime - own.notAfter < .seconds(1) {
      notices.append(.sentence("the membership certificate has expired; ask the broadcaster for a new one"))
    }
    for index in channels.indices where channels[index].isOpen {
      if !isAdmitted(index), now - channels[index].opened >= Self.admissionLimit {
        lose(index, .unreachable)
        continue
      }
      guard let member = channels[index].member, !member.certificate.isValid(at: unixTime) else { continue }
      sayGoodbye(index, redirect: [])
      lose(index, .closed)
    }
  }
}

/// Somebody who showed a valid certificate.
struct Member: Hashable {
  var certificate: MembershipCertificate
  var id: PeerID
  /// Where alone the certificate is good; nil for everywhere.
  var address: Address?

  /// Nil when the certificate says a place that is no IP address.
  init?(_ certificate: MembershipCertificate) {
    guard let id = PeerID(certificate.id),
      case .address(let address)? = try? Link.Endpoint(certificate.place, allowsPortZero: true)
    else { return nil }
    self.certificate = certificate
    self.id = id
    self.address = address.bytes.allSatisfy { $0 == 0 } ? nil : address
  }
}

/// The checks of certificates, and what they may cost.
///
/// Anybody can send certificates, in any name. A signature is checked once and then remembered, so members pass whatever
/// others send; of those that are not known a bounded number is checked in a second, the rest is as if it had been lost.
struct Gate {
  /// Certificates that are remembered.
  static let limit = 1024
  /// Checks of signatures, 100 µs each: a twentieth of a core.
  static let interval: Duration = .milliseconds(2)
  static let burst = 64

  private var known: [[UInt8]: Member] = [:]
  private var order = Ring<[UInt8]>()
  private var full: Duration = .zero

  /// The member that a certificate is about; nil unless the authority says so and it is valid now.
  mutating func check(
    _ der: RawSpan,
    _ authority: SwarmAuthority,
    unixTime: Duration,
    now: Duration
  ) -> Member? {
    guard der.byteCount <= MembershipCertificate.maximumLength else { return nil }
    let hash = HashFunction.sha256.hash(der)
    if let member = known[hash] { return member.certificate.isValid(at: unixTime) ? member : nil }
    guard full - now <= Self.interval * Self.burst else { return nil }
    full = max(full, now) + Self.interval
    guard let certificate = authority.check(der, at: unixTime), let member = Member(certificate) else {
      return nil
    }
    if order.count >= Self.limit, let oldest = order.removeFirst() { known[oldest] = nil }
    known[hash] = member
    order.append(hash)
    return member
  }
}
