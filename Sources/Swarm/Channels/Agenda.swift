extension Channel {
  /// What is asked of all channels again and again: when something is to be done about one, as far as that follows from
  /// the channel alone.
  struct Agenda {
    /// Later than everything.
    static let never: Duration = .seconds(1 << 40)

    /// When a peer wants its turn for the channel.
    var wake = never
    /// When something is to be sent lest the other side, or what lies on the way, forgets us.
    var quiet = never
    /// When it counts as dead, if it was sent something and is not heard before.
    var death = never
    /// When it is closed unless a topology finds a use for it.
    var useless = never
    /// Before this nothing is to be done whoever has the turn, but for what ``have`` and ``watch`` say.
    var idle = never
    /// When it may hear again what we have; nil when it does not want to.
    var have: Duration?
    /// The highest chunk that it knows us to have.
    var said: UInt64?
    /// Whether it is to hear of more than the newest chunks.
    var hasGrown = false
    var watch: Watch?
    var isRouted = false
    var isPulled = false

    /// Something is to be done at a time, if it is named.
    fileprivate mutating func note(_ time: Duration?) {
      if let time { wake = min(wake, time) }
    }
  }

  /// Somebody whose silence counts.
  enum Watch {
    /// It feeds us: when it was heard, and brought something new.
    case feeder(heard: Duration, progress: Duration, trip: Duration, reported: Duration?)
    /// It was pushed to and has not answered: when that is to be reported.
    case receiver(limit: Duration)
  }

  /// What is to be done about it, and when.
  ///
  /// Changes nothing; a channel is large, and would be copied to call what does not mutate.
  mutating func lookAhead() -> Agenda {
    var agenda = Agenda()
    agenda.isPulled = isPulled
    guard !isFree else { return agenda }
    agenda.note(nextHandshake)
    agenda.note(nextHello)
    agenda.note(nextPing)
    agenda.note(ackDeadline)
    agenda.note(nextRelease)
    agenda.note(congestion.silenceDeadline)
    let nextAsk = nextAsk
    if speech == .proven { agenda.note(nextAsk) }
    agenda.isRouted = isRouted
    if agenda.isRouted { agenda.note(lastSent + Peer.heartbeat) }
    agenda.quiet = lastSent + (agenda.isRouted ? Peer.heartbeat : Peer.keepAliveInterval)
    // A plain peer that feeds us and falls silent is asked whether it is there.
    if isPulled { agenda.quiet = min(agenda.quiet, max(lastSent, lastHeard) + .seconds(2)) }
    let patience =
      isPulled ? Peer.pulledDeadAfter : speech == .proven ? Peer.freshetDeadAfter : Peer.deadAfter
    agenda.death = lastHeard + patience
    if speech == .proven, !isUsed, !isPulled { agenda.useless = opened + Peer.idleLimit }
    agenda.idle = min(agenda.wake, agenda.quiet, agenda.death, agenda.useless)
    if let nextAsk { agenda.idle = min(agenda.idle, nextAsk) }
    if wantsHaves {
      agenda.have = nextHave
      agenda.said = saidHave?.upperBound
      agenda.hasGrown = !grown.isEmpty
    }
    agenda.watch = watch
    return agenda
  }

  private var watch: Watch? {
    @inline(__always) get {
      let trip = congestion.roundTrip ?? .milliseconds(20)
      if isFeeding {
        return .feeder(heard: lastHeard, progress: lastProgress, trip: trip, reported: silenceReported)
      }
      guard lastPush != nil, let since = unansweredSince else { return nil }
      let limit = since + max(Peer.shortestSilence, min(trip * 3, .seconds(1))) + Peer.answerSlack
      return .receiver(
        limit: max(silenceReported.map { $0 + Peer.unansweredInterval } ?? limit, limit)
      )
    }
  }
}
