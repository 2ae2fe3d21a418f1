import PluginKit
import Wire

// Who pushes what in which order, and whether anybody does.
//
// A stripe with a declared parent is pushed in ascending order: what the parent passes over is lost, and what it has not
// reached is on its way as long as it goes on. Everything else may come from anybody in any order; it is waited for as long
// as chunks that were overtaken took lately.
extension Peer {
  /// How long a chunk may be overtaken by what its parent sent after it before it counts as missing.
  static let reorderGrace: Duration = .milliseconds(4)
  /// How long a parent that is pushing may pause, at least.
  private static let pushPause: Duration = .milliseconds(40)

  /// Whether the topology pushes without parents.
  var isUnordered: Bool { !courses.isEmpty && !courses[carrier].declaresParents }

  /// How long a chunk that was overtaken is waited for before somebody is asked for it.
  ///
  /// In a swap what the one topology brings overtakes what the other one still has to bring.
  var overtakingTime: Duration {
    isUnordered || courses.count == 2 ? max(reordering.time, Self.reorderGrace) : Self.reorderGrace
  }

  /// Whether we receive the stream, so that others may be sent to us.
  var isAttached: Bool {
    configuration.role == .source
      || (isUnordered ? isFed : !courses.isEmpty && !courses[carrier].parents.isEmpty)
      || channels.indices.contains { channels[$0].isOpen && channels[$0].isPulled }
  }

  /// The topology says who feeds a stripe from now on.
  mutating func declareParent(_ stripe: Int, _ peer: PeerRef?, depth: Int, _ course: Int) {
    guard stripe >= 0, stripe < StripeSet.limit else { return }
    let before = isAttached
    defer { tellStanding(unless: before) }
    courses[course].parents.removeAll { $0.stripe == stripe }
    let feeder = peer.flatMap { directory[$0] }
    for index in channels.indices where index != feeder?.channel {
      channels[index].roles[course].feeds.removeAll { $0.stripe == stripe }
    }
    guard let peer, let feeder else {
      if !isAttached { notices.append(.detached) }
      return
    }
    courses[course].declaresParents = true
    courses[course].parents.append((stripe, peer, depth))
    courses[course].parents.sort { $0.stripe < $1.stripe }
    notices.append(.attached(parent: feeder.address.description, depth: depth))
    guard let index = feeder.channel, channels[index].roles[course].parentStripes.contains(stripe: stripe),
      channels[index].roles[course].feed(stripe) == nil
    else { return }
    let next = max(channels[index].roles[course].promised ?? expected ?? 0, share(of: course).lowerBound)
    channels[index].roles[course].feeds.append(Channel.Feed(stripe: stripe, next: next, progress: now))
  }

  /// Everybody hears at once when we are attached, or are not any more.
  private mutating func tellStanding(unless before: Bool) {
    guard isAttached != before else { return }
    for index in channels.indices where channels[index].isOpen && channels[index].speech == .proven {
      sendPing(index)
    }
  }

  /// A chunk came from somebody: without parents that is all that there is to being attached.
  mutating func noteFed(by index: Int) {
    guard !isFed else { return }
    isFed = true
    guard isUnordered else { return }
    notices.append(.attached(parent: channels[index].address.description, depth: nil))
    tellStanding(unless: false)
  }

  /// Who has got nothing for as long as output waits for a chunk is not fed any more.
  mutating func reviewFed() {
    guard isFed, let lastArrival, now - lastArrival >= configuration.patience else { return }
    isFed = false
    guard isUnordered, configuration.role != .source else { return }
    notices.append(.detached)
    tellStanding(unless: true)
  }

  /// Whether somebody who pushes to us has been heard lately.
  var hasLivelyParent: Bool {
    guard !isUnordered else { return isFed }
    let carrier = carrier
    return channels.indices.contains { index in
      channels[index].isOpen && !channels[index].roles[carrier].feeds.isEmpty
        && channels[index].silenceReported == nil
    }
  }

  /// A chunk was pushed: where it comes from a parent, notes how far that is.
  mutating func notePush(_ index: Int, _ chunk: UInt64) {
    let (course, stripe) = (course(of: chunk), stripe(of: chunk))
    guard let feed = channels[index].roles[course].feed(stripe) else { return }
    let before = channels[index].roles[course].feeds[feed].next
    guard chunk >= before else { return }
    channels[index].roles[course].feeds[feed].progress = now
    // What was asked for may overtake others. It may also have been under way by push before anybody asked: were it no
    // sign of life, all that follows would be asked for too, and none would ever be one.
    guard missing(chunk)?.source != index else { return }
    channels[index].roles[course].feeds[feed].next = chunk + 1
    // What it has passed over does not come by itself any more, whenever it was to be asked for.
    let time = now + Self.reorderGrace
    for place in missing.indices.reversed() where missing[place].chunk < chunk {
      if missing[place].chunk < before { break }
      guard missing[place].tries == 0, missing[place].next > time,
        self.stripe(of: missing[place].chunk) == stripe
      else { continue }
      missing[place].next = time
      nextRepair = min(nextRepair ?? time, time)
    }
  }

  /// The channel of the parent that is to push a chunk, unless that is silent.
  func feeder(of chunk: UInt64) -> (index: Int, feed: Channel.Feed)? {
    let (course, stripe) = (course(of: chunk), stripe(of: chunk))
    for index in channels.indices where channels[index].isOpen && channels[index].silenceReported == nil {
      guard let feed = channels[index].roles[course].feed(stripe) else { continue }
      return (index, channels[index].roles[course].feeds[feed])
    }
    return nil
  }

  /// Until when a chunk is waited for because the parent is pushing what lies before it.
  ///
  /// It may be known from a HAVE, or from what others sent; to ask for it now would load those who are slow already.
  func push(of chunk: UInt64) -> Duration? {
    guard let (index, feed) = feeder(of: chunk), feed.next <= chunk else { return nil }
    let interval = chunkInterval * Int(courses[course(of: chunk)].stripes)
    let pause = max(Self.pushPause, min(interval * 2, configuration.patience / 4))
    let limit = feed.progress + (channels[index].congestion.roundTrip ?? .milliseconds(20)) + pause
    return limit > now ? limit : nil
  }
}
