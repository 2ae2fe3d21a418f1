import PluginKit

// A plain leaf hears nothing of what the swarm runs. Now and then it asks, beside the channels that it pulls from, and takes
// part again when the swarm runs something that is here.
extension Peer {
  /// How often a plain leaf asks a peer of the link.
  static let newsInterval: Duration = .seconds(10)
  /// How long it waits for what the other side says.
  private static let newsPatience: Duration = .seconds(3)

  /// Whether a channel bears nothing but RFC messages because we lack what the swarm runs.
  func speaksPlain(_ index: Int) -> Bool { speaksPlain && !channels[index].asksNews }

  /// Asks when it is time, and ends what was asked.
  mutating func reviewNews() {
    for index in channels.indices
    where channels[index].asksNews && !channels[index].isFree
      && now - channels[index].opened >= Self.newsPatience
    {
      sayGoodbye(index, redirect: [])
      free(index)
    }
    guard speaksPlain, content == nil, now >= nextNews else { return }
    nextNews = now + Self.newsInterval
    if let address = bootstrap.randomElement(using: &random) { openForNews(to: address) }
  }

  /// What the swarm runs may be here: then its plain channels give way to those of the topology.
  mutating func rejoin(_ found: SwarmDescriptor, signed: [UInt8]) {
    do throws(ParameterError) {
      try adopt(found, signed: signed)
    } catch {
      return
    }
    speaksPlain = false
    notices.append(
      .sentence("the swarm runs '\(found.topology)', which is here; this is no plain leaf any more")
    )
    for index in channels.indices where !channels[index].isFree {
      sayGoodbye(index, redirect: [])
      free(index)
    }
  }
}
