;; Takes one handle after the other and gives none back.
;; must: skill-trapped
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error-type))
  (import "wasi:io/streams@0.2.0" (instance $streams (export "output-stream" (type (sub resource)))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $s))
    (export "output-stream" (type $stream (eq $s)))
    (export "get-stdout" (func (result (own $stream))))))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core module $m
    (import "host" "get" (func $get (result i32)))
    (func (export "attack") (loop (drop (call $get)) (br 0))))
  (core instance $i (instantiate $m (with "host" (instance (export "get" (func $get))))))
  (func (export "attack") (canon lift (core func $i "attack"))))
