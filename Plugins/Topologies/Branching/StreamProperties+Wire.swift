import PluginKit

extension StreamProperties {
  /// Headers of IPv4 and UDP around a chunk, in bytes: ``rate`` counts what is inside.
  private static let headers = 28
  /// What a peer sends for each chunk that it gets, in bytes: an acknowledgement in a datagram of its own.
  private static let acknowledgement = 49
  /// This part of an upload stays for messages, repair, and what newcomers have to catch up.
  private static let reserve = 16.0

  /// How many whole copies of the stream an upload, in bits per second, carries over the wire besides the rest.
  ///
  /// An uplink that is full to the last bit never works off a backlog: what repair takes of it makes everything late
  /// for good.
  func wholeCopies(in upload: UInt64) -> Int {
    guard rate > 0, chunkSize > 0 else { return 0 }
    let perByte = Double(rate) / Double(chunkSize)
    let spare = Double(upload) * (1 - 1 / Self.reserve) - perByte * Double(Self.acknowledgement)
    let copy = Double(rate) + perByte * Double(Self.headers)
    return Int(max(0, min(spare / copy, Double(UInt16.max))))
  }
}
