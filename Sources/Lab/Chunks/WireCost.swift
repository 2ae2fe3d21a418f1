/// What things take on the wire, in bytes, as the product sends them over UDP and IPv4 with Sign All.
///
/// They are counts, not encodings: this engine sends no bytes.
enum WireCost {
  /// IPv4 and UDP headers.
  static let headers = 28
  /// Channel, SIGNED_INTEGRITY with a signature of 64 bytes and the head of DATA.
  static let chunk = 4 + 81 + 17
  /// A note beside a chunk.
  static let note = 12
  /// Channel and the head of an extension message.
  static let message = 4 + 4
  /// Three datagrams of a handshake, and the hellos of both sides: half of all is sent by each.
  static let opening = 3 * (headers + 60) + 2 * (headers + 280)
  /// The signed descriptor of the swarm.
  static let descriptor = headers + 180
  static let ask = headers + message + 20
  static let answer = headers + message + 20
  /// A peer that is named, with its address.
  static let contact = 41
  static let goodbye = headers + message
  static let stop = headers + message + 8
  /// HAVE, REQUEST, CANCEL: a channel and one range each.
  static let range = 9
  static let ranges = headers + 4
  /// An acknowledgement with its delay.
  static let acknowledgement = headers + 4 + 17
  /// A ping and a pong, both ways, each second.
  static let pings = 4 * (headers + message + 11)
}
