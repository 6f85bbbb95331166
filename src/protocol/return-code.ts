/** Return codes of CONNACK and SUBACK. */

/** CONNACK return codes [MQTT 3.1.1, table 3.1]. */
export const ConnackCode = {
  accepted: 0,
  unacceptableProtocolVersion: 1,
  identifierRejected: 2,
  serverUnavailable: 3,
  badUserNameOrPassword: 4,
  notAuthorized: 5,
} as const;
export type ConnackCode = (typeof ConnackCode)[keyof typeof ConnackCode];

/** SUBACK return code of a Topic Filter that was not subscribed to [MQTT-3.9.3-2]. */
export const SUBACK_FAILURE = 0x80;
