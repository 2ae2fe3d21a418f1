import PluginKit

/// At the source: who takes part, and what of it the list says.
struct Registrar: Hashable, Sendable {
  /// So long newcomers feed nobody, until others are connected to them and they know the list.
  static let apprenticeship: Duration = .milliseconds(500)
  /// So long nobody is relied on who was said to be silent.
  static let suspicion: Duration = .seconds(3)
  /// Two who say so within this time are believed.
  private static let reportTime: Duration = .seconds(1)
  /// Of the uploads this part is counted on, in percent.
  private static let reliance: UInt64 = 90
  /// Newcomers wait until the others can feed them, but not longer than this.
  private static let patience: Duration = .seconds(5)

  private struct Member: Hashable, Sendable {
    var number: UInt32
    var contact: Contact
    var upload: UInt32
    var isReachable: Bool
    var since: Duration
    /// When it came on the list; `nil` while it waits.
    var listed: Duration?
    var suspectUntil: Duration = .zero
    var report: Report?
  }

  private struct Report: Hashable, Sendable {
    var by: PeerID
    var at: Duration
  }

  /// Ascending by number.
  private var members: [Member] = []
  private var nextNumber: UInt32 = 1

  var count: Int { members.count }

  mutating func register(_ contact: Contact, upload: UInt32, isReachable: Bool, now: Duration) {
    if let index = members.firstIndex(where: { $0.contact.id == contact.id }) {
      members[index].upload = upload
      return
    }
    members.append(
      Member(
        number: nextNumber,
        contact: contact,
        upload: upload,
        isReachable: isReachable,
        since: now
      )
    )
    nextNumber += 1
  }

  mutating func remove(_ id: PeerID) { members.removeAll { $0.contact.id == id } }

  /// Somebody says that a member is silent; the word of one is not enough, unless there are only a few.
  mutating func suspect(_ number: UInt32, by reporter: PeerID, isOwn: Bool, now: Duration) {
    guard let index = members.firstIndex(where: { $0.number == number }) else { return }
    let isSecond = members[index].report.map { $0.by != reporter && now - $0.at <= Self.reportTime } ?? false
    if isOwn || isSecond || members.count < 4 {
      members[index].suspectUntil = now + Self.suspicion
    } else {
      members[index].report = Report(by: reporter, at: now)
    }
  }

  /// What is to change on a list now; `nil` when nothing is.
  ///
  /// The source has the upload `own`, of which it can feed `copies`; one takes `rate`. All are kilobits per second.
  mutating func delta(for roll: Roll, own: UInt32, rate: UInt64, copies: Int, now: Duration) -> Roll.Delta? {
    var delta = Roll.Delta(version: roll.version + 1)
    if let source = roll.entries.first, source.upload != own {
      delta.uploads.append(Roll.Upload(number: source.number, upload: own))
    }
    for entry in roll.entries where entry.number > 0 && delta.left.count < Roll.Delta.leftLimit {
      if !members.contains(where: { $0.number == entry.number }) { delta.left.append(entry.number) }
    }
    var carried: UInt64 = 0
    var count = roll.entries.count - 1 - delta.left.count
    for member in members {
      guard let listed = member.listed, let index = roll.index(of: member.number) else { continue }
      let isRelied = now - listed >= Self.apprenticeship && member.suspectUntil <= now
      let upload = isRelied ? member.upload : 0
      carried += UInt64(upload)
      if roll.entries[index].upload != upload, delta.uploads.count < Roll.Delta.uploadLimit {
        delta.uploads.append(Roll.Upload(number: member.number, upload: upload))
      }
    }
    let limit = copies + Int(clamping: carried * Self.reliance / 100 / max(rate, 1))
    for index in members.indices where members[index].listed == nil {
      guard count < limit || now - members[index].since >= Self.patience,
        delta.joined.count < Roll.Delta.joinedLimit
      else { break }
      members[index].listed = now
      count += 1
      let member = members[index]
      delta.joined.append(
        Roll.Entry(
          number: member.number,
          contact: member.contact,
          upload: 0,
          isReachable: member.isReachable
        )
      )
    }
    return delta.left.isEmpty && delta.uploads.isEmpty && delta.joined.isEmpty ? nil : delta
  }
}
