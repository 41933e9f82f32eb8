;; Gives a handle back twice.
;; must: skill-trapped
(component
  (import "wasi:io/streams@0.2.0" (instance $streams (export "output-stream" (type (sub resource)))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $s))
    (export "output-stream" (type $stream (eq $s)))
    (export "get-stdout" (func (result (own $stream))))))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core func $drop (canon resource.drop $stream))
  (core module $m
    (import "host" "get" (func $get (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (func (export "attack") (local $handle i32)
      (local.set $handle (call $get))
      (call $drop (local.get $handle))
      (call $drop (local.get $handle))))
  (core instance $i (instantiate $m (with "host" (instance (export "get" (func $get)) (export "drop" (func $drop))))))
  (func (export "attack") (canon lift (core func $i "attack"))))
