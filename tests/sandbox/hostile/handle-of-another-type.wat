;; Uses the handle of a stream as one of a clock's alarm.
;; must: skill-trapped
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (import "wasi:io/streams@0.2.0" (instance $streams (export "output-stream" (type (sub resource)))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $s))
    (export "output-stream" (type $stream (eq $s)))
    (export "get-stdout" (func (result (own $stream))))))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core module $m
    (import "host" "get" (func $get (result i32)))
    (import "host" "block" (func $block (param i32)))
    (func (export "attack") (call $block (call $get))))
  (core instance $i (instantiate $m (with "host" (instance (export "get" (func $get)) (export "block" (func $block))))))
  (func (export "attack") (canon lift (core func $i "attack"))))
