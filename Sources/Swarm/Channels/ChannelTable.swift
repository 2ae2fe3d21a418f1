/// The channels of a peer by their index, each with what says when something is to be done about it.
///
/// A channel is large and mostly at rest. It is read and changed where it lies, and what is asked of all channels at every
/// turn stands apart, side by side: it is found out again only for those that were changed since.
struct ChannelTable: RandomAccessCollection, MutableCollection {
  private var channels: [Channel] = []
  private var agendas: [Channel.Agenda?] = []

  var startIndex: Int { 0 }
  var endIndex: Int { channels.count }

  subscript(index: Int) -> Channel {
    _read { yield channels[index] }
    _modify {
      agendas[index] = nil
      yield &channels[index]
    }
  }

  mutating func append(_ channel: Channel) {
    channels.append(channel)
    agendas.append(nil)
  }

  /// When something is to be done about a channel.
  mutating func agenda(_ index: Int) -> Channel.Agenda {
    if let known = agendas[index] { return known }
    let agenda = channels[index].lookAhead()
    agendas[index] = agenda
    return agenda
  }
}
