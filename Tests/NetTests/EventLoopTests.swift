import CAllocations
import Glibc
import Net
import PluginKit
import Support
import Testing

@Suite struct EventLoopTests {
  @Test func `a wait ends at its deadline`() throws {
    let clock = Clock()
    let loop = try EventLoop(clock: clock)
    var late: [Duration] = []
    for _ in 0..<20 {
      let deadline = clock.now + .microseconds(700)
      let events = try loop.wait(until: deadline)
      #expect(events.isEmpty)
      #expect(clock.now >= deadline)
      late.append(clock.now - deadline)
    }
    late.sort()
    // Far below the millisecond that epoll_wait would round to, unless the machine is busy.
    #expect(late[0] < .microseconds(500), "\(late)")
  }

  @Test func `a deadline that is past only looks`() throws {
    let clock = Clock()
    let loop = try EventLoop(clock: clock)
    #expect(try loop.wait(until: .seconds(-5)).isEmpty)
    #expect(try loop.wait(for: .zero).isEmpty)
  }

  @Test func `a socket that has something is told until it is read`() throws {
    let home = Address(ipv4: 0x7f00_0001, port: 0)
    var sender = try DatagramSocket.bind(to: home)
    var receiver = try DatagramSocket.bind(to: home)
    let loop = try EventLoop(clock: Clock())
    try loop.watch(receiver.descriptor, token: 77)
    #expect(send([1], from: &sender, to: receiver.localAddress))
    for _ in 0..<2 {
      #expect(Array(try loop.wait(for: .seconds(1))) == [.ready(token: 77, .input)])
    }
    receiver.receive()
    #expect(try loop.wait(for: .zero).isEmpty)
    try loop.change(receiver.descriptor, token: 78, to: [.input, .output])
    #expect(Array(try loop.wait(for: .zero)) == [.ready(token: 78, .output)])
    loop.forget(receiver.descriptor)
    #expect(try loop.wait(for: .zero).isEmpty)
  }

  @Test func `another thread ends a wait`() throws {
    let loop = try EventLoop(clock: Clock())
    let waker = unsafe Unmanaged.passRetained(loop.waker)
    var thread = pthread_t()
    // A thread of its own: all those of the test runner may be waiting as this one does.
    let status = unsafe pthread_create(
      &thread,
      nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let waker = unsafe Unmanaged<Waker>.fromOpaque(argument).takeRetainedValue()
        waker.wake()
        waker.wake()
        return nil
      },
      waker.toOpaque()
    )
    #expect(status == 0)
    #expect(Array(try loop.wait(for: .seconds(5))) == [.woken])
    pthread_join(thread, nil)
    // The second call may have come after the first was told.
    _ = try loop.wait(for: .zero)
    #expect(try loop.wait(for: .zero).isEmpty)
  }

  @Test func `a waker outlives its loop`() throws {
    let waker: Waker
    do { waker = try EventLoop(clock: Clock()).waker }
    waker.wake()
  }

  @Test func `signals are told and end nothing`() throws {
    var loop = try EventLoop(clock: Clock())
    try loop.catchSignals([SIGUSR1, SIGUSR2])
    raise(SIGUSR1)
    raise(SIGUSR2)
    var told: [EventLoop.Event] = []
    while told.count < 2, case let events = try loop.wait(for: .seconds(5)), !events.isEmpty {
      told += Array(events)
    }
    #expect(told == [.signal(SIGUSR1), .signal(SIGUSR2)])
  }

  @Test func `interrupting ends a process that no longer catches it`() async {
    await #expect(processExitsWith: .signal(SIGTERM)) {
      do {
        var loop = try EventLoop(clock: Clock())
        try loop.catchSignals()
        raise(SIGTERM)
        guard Array(try loop.wait(for: .seconds(5))) == [.signal(SIGTERM)] else { exit(1) }
      }
      raise(SIGTERM)
    }
  }

  @Test func `more than one wait's events are told in turn`() throws {
    let loop = try EventLoop(clock: Clock())
    var ends: [[Int32]] = []
    defer { ends.joined().forEach { close($0) } }
    for index in 0..<50 {
      var pair: [Int32] = [0, 0]
      unsafe #expect(pipe(&pair) == 0)
      ends.append(pair)
      try loop.watch(pair[0], token: UInt32(index))
      #expect(unsafe write(pair[1], "x", 1) == 1)
    }
    var told: Set<EventLoop.Event> = []
    for _ in 0..<4 { told.formUnion(try loop.wait(for: .zero)) }
    #expect(told.count == 50)
  }

  @Test(.enabled(if: allocations_are_counted(), "a sanitizer brings its own malloc"))
  func `waiting allocates nothing`() throws {
    let loop = try EventLoop(clock: Clock())
    let waker = loop.waker
    func round() throws -> Int {
      waker.wake()
      var count = 0
      for event in try loop.wait(for: .seconds(1)) where event == .woken { count += 1 }
      return count
    }
    #expect(try round() == 1)
    let before = allocations_of_this_thread()
    let count = try round()
    let after = allocations_of_this_thread()
    #expect(count == 1)
    #expect(after - before == 0)
  }

  @Test func `the clock begins at zero and goes on`() {
    let clock = Clock()
    let first = clock.now
    #expect(first >= .zero && first < .seconds(10))
    #expect(clock.now >= first)
    // From 2020 to 2100.
    #expect((1_577_836_800_000_000_000...4_102_444_800_000_000_000).contains(Clock.unixNanoseconds))
    let age = Clock.processAge ?? .seconds(-1)
    #expect(age >= .zero && age < .seconds(86_400))
  }
}
