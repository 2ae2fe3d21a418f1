internal import PluginKit
internal import Text

/// Descriptions for a person: one line a message, with a short name for each address.
public struct TextRenderer {
  /// The most addresses that get a short name; further ones are written out.
  private static let nameLimit = 26 * 27
  private static let labelWidth = 11

  private let width: Int
  private let inColor: Bool
  private var names: [Address: String] = [:]
  private var start: Duration?

  /// For lines of at most `width` columns, but no less than 60.
  public init(width: Int = 100, inColor: Bool = false) {
    self.width = max(width, 60)
    self.inColor = inColor
  }

  /// The lines of a datagram, behind one for each address that is new.
  public mutating func render(_ datagram: DatagramDescription) -> String {
    var text = ""
    var head = ""
    if let time = datagram.time {
      let zero = start ?? time
      start = zero
      head += padded(Figures.seconds(time - zero), 10, right: true) + "  "
    }
    if let source = datagram.source, let destination = datagram.destination {
      head += padded("\(name(source, &text)) → \(name(destination, &text))", 6) + "  "
    }
    let channel = datagram.channel.map { $0 == 0 ? "0" : Figures.channel($0) } ?? "-"
    head += padded(channel, 8, right: true) + padded("\(datagram.length)", 6, right: true) + "  "

    let indent = head.count
    var lead = Paint(head, .dim)
    for (label, parts) in lines(datagram) {
      text += lead.rendered(inColor: inColor)
      text += label.rendered(inColor: inColor)
      text += String(repeating: " ", count: max(1, Self.labelWidth - label.text.count))
      var paragraph = Paragraph(
        indent: indent + max(Self.labelWidth, label.text.count + 1),
        width: width,
        inColor: inColor
      )
      for part in parts { paragraph.add(part) }
      text += paragraph.text + "\n"
      lead = Paint(String(repeating: " ", count: indent))
    }
    return text + dump(datagram.bytes)
  }

  private func lines(_ datagram: DatagramDescription) -> [(label: Paint, parts: [Paint])] {
    var lines: [(label: Paint, parts: [Paint])] = []
    var signed: MessageDescription?
    for (index, message) in datagram.messages.enumerated() {
      // A chunk and its signature are one thing to a person.
      if message.kind == .signedIntegrity, index + 1 < datagram.messages.count,
        datagram.messages[index + 1].kind == .data, datagram.messages[index + 1].chunks == message.chunks
      {
        signed = message
        continue
      }
      lines.append((Paint(message.kind.label, style(message.kind)), parts(message, signed: signed)))
      signed = nil
    }
    if let problem = datagram.problem {
      let isBad = problem.kind == .malformed
      var parts = [Paint(problem.reason, isBad ? .red : .plain)]
      if problem.offset > 0, isBad { parts.append(Paint("the message at byte \(problem.offset)")) }
      if !problem.rest.isEmpty {
        let isAll = problem.rest.count < Problem.restLimit
        parts.append(Paint(Figures.hex(problem.rest) + (isAll ? "" : "…"), .dim))
      }
      lines.append((Paint(problem.kind.rawValue, isBad ? .red : .yellow), parts))
    }
    if lines.isEmpty { lines.append((Paint("nothing", .dim), [])) }
    return lines
  }

  private func parts(_ message: MessageDescription, signed: MessageDescription?) -> [Paint] {
    var parts: [Paint] = []
    if let chunks = message.chunks { parts.append(Paint(Figures.chunks(chunks), .bold)) }
    parts += message.fields.compactMap { $0.phrase.map { Paint($0) } }
    parts += signed?.fields.compactMap { $0.phrase.map { Paint($0) } } ?? []
    switch message.verdict {
    case .genuine: parts.append(Paint("genuine", .green))
    case .forged: parts.append(Paint("FALSE", .red))
    case .unknown(let reason): parts.append(Paint("cannot tell: \(reason)", .yellow))
    case nil: break
    }
    if message.isDuplicate { parts.append(Paint("duplicate", .yellow)) }
    return parts
  }

  private func style(_ kind: MessageKind) -> Paint.Style {
    switch kind {
    case .handshake: .cyan
    case .data, .signedIntegrity, .integrity: .bold
    case .request, .cancel: .blue
    case .choke: .yellow
    case .have, .ack, .keepAlive, .unchoke: .plain
    default: .magenta
    }
  }

  /// The short name of an address; a line that says so when it is new.
  private mutating func name(_ address: Address, _ text: inout String) -> String {
    if let name = names[address] { return name }
    guard names.count < Self.nameLimit else { return address.description }
    let (high, low) = names.count.quotientAndRemainder(dividingBy: 26)
    let letters = (high > 0 ? [UInt8(ascii: "A") + UInt8(high - 1)] : []) + [UInt8(ascii: "A") + UInt8(low)]
    let name = String(decoding: letters, as: UTF8.self)
    names[address] = name
    text += Paint("\(name) = \(address)", .cyan).rendered(inColor: inColor) + "\n"
    return name
  }

  private func padded(_ text: String, _ width: Int, right: Bool = false) -> String {
    let spaces = String(repeating: " ", count: max(0, width - text.count))
    return right ? spaces + text : text + spaces
  }

  /// Sixteen bytes a line, as numbers and as letters.
  private func dump(_ bytes: [UInt8]) -> String {
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 16) {
      let row = bytes[start..<min(start + 16, bytes.count)]
      let halves = [row.prefix(8), row.dropFirst(8)].map { half in
        half.map { Figures.hex([$0]) }.joined(separator: " ")
      }
      let letters = String(decoding: row.map { 0x20...0x7E ~= $0 ? $0 : UInt8(ascii: ".") }, as: UTF8.self)
      let line =
        padded("\(start)", 10, right: true) + "  " + padded(halves[0], 25) + padded(halves[1], 25) + letters
      text += Paint(line, .dim).rendered(inColor: inColor) + "\n"
    }
    return text
  }

  // MARK: The summary

  /// What a whole capture held, with the addresses' short names.
  public mutating func render(_ summary: Summary) -> String {
    let tally = summary.tally
    var first = Figures.count(tally.datagrams, "datagram")
    if let duration = summary.duration {
      first += " in \(Figures.microseconds(duration.inMicroseconds))"
    }
    first += ", " + Figures.count(tally.bytes, "byte")
    if tally.bytes > 0 {
      first += ": \(Figures.percent(tally.payload, of: tally.bytes)) chunks,"
      first += " \(Figures.percent(tally.bytes &- tally.payload, of: tally.bytes)) protocol"
    }
    var text = "\n" + Paint(first, .bold).rendered(inColor: inColor) + "\n"
    text += row(
      "messages",
      MessageKind.allCases.compactMap { kind in
        tally.messages[kind].map { Paint("\(kind.label) \($0.grouped)") }
      }
    )
    if tally.messages[.data] != nil {
      let counts: [(UInt64, String, Paint.Style)] = [
        (tally.genuine, "genuine", .green), (tally.forged, "FALSE", .red),
        (tally.unknown, "cannot be told", .yellow), (tally.duplicates, "duplicate", .yellow),
      ]
      text += row(
        "chunks",
        counts.filter { $0.0 > 0 }.map { Paint("\($0.0.grouped) \($0.1)", $0.2) }
      )
    }
    text += row(
      "delays",
      summary.delays.filter { $0.times.count > 0 }.map { name, times in
        let range =
          times.least == times.most
          ? "" : " (\(Figures.microseconds(times.least)) to \(Figures.microseconds(times.most)))"
        return Paint("\(name) \(Figures.microseconds(times.mean))\(range)")
      }
    )
    var problems = Problem.Kind.allCases.compactMap { kind in
      tally.problems[kind].map {
        Paint("\($0.grouped) \(kind.rawValue)", kind == .malformed ? .red : .yellow)
      }
    }
    if tally.forgedStatements > 0 {
      let count = tally.forgedStatements.grouped
      problems.append(Paint("\(count) false hello, descriptor or signature", .red))
    }
    if summary.dropped > 0 {
      problems.append(Paint("\(Figures.count(summary.dropped, "packet")) dropped by the kernel", .yellow))
    }
    text += row("problems", problems)
    text += row(
      "skipped",
      Skipped.allCases.compactMap { reason in
        tally.skipped[reason].map { Paint("\($0.grouped) \(reason.rawValue)") }
      }
    )
    var label = "channels"
    for channel in summary.channels {
      text += row(label, [Paint(line(channel))])
      label = ""
    }
    if summary.otherChannels > 0 {
      text += row("", [Paint("and \(Figures.count(summary.otherChannels, "other"))")])
    }
    return text
  }

  private func row(_ label: String, _ parts: [Paint]) -> String {
    guard !parts.isEmpty else { return "" }
    var paragraph = Paragraph(indent: 12, width: width, inColor: inColor)
    for part in parts { paragraph.add(part) }
    return Paint("  " + padded(label, 10), .dim).rendered(inColor: inColor) + paragraph.text + "\n"
  }

  private func line(_ channel: Summary.Channel) -> String {
    func end(_ name: ChannelName) -> String {
      let owner = name.owner.map { (names[$0] ?? $0.description) + " " } ?? ""
      return owner + Figures.channel(name.number)
    }
    var line = end(channel.first) + " ⇄ " + (channel.second.map(end) ?? "?")
    line +=
      "  →\(Figures.count(channel.bytesToSecond, "byte"))  ←\(Figures.count(channel.bytesToFirst, "byte"))"
    if let swarm = channel.swarm { line += "  swarm \(swarm.prefix(12))…" }
    if channel.isClosed { line += "  closed" }
    return line
  }
}
