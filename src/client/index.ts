/** Public names of `surgemq/client`. */
export {
  ArgumentError,
  CapacityError,
  ClosedError,
  ConfigError,
  ConnectFailedError,
  ConnectionLostError,
  ConnectRefusedError,
  ProtocolError,
  SubscribeRefusedError,
  TimeoutError,
} from '../base/errors.js';
export type { ProtocolVersion, QoS } from '../protocol/packet.js';
export type { CallOptions } from './call.js';
export { Client, connect } from './client.js';
export type {
  ClientEvents,
  ClientState,
  DisconnectOptions,
  MessagesOptions,
} from './client-events.js';
export { Message, type MessageHandler, type Payload } from './message.js';
export { MessageStream } from './message-stream.js';
export type { ClientOptions, Duration, ReconnectOptions, WillOptions } from './options.js';
export type { PublishOptions } from './outgoing.js';
export type {
  Filters,
  GrantedSubscription,
  SubscribeOptions,
  SubscribeRequest,
} from './subscription-requests.js';
