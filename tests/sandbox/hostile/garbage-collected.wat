;; Uses garbage-collected objects, whose heap would be the host's work.
;; must: not-a-component
(component
  (core module $m
    (type $list (array (mut i64)))
    (func (export "attack") (loop (drop (array.new_default $list (i32.const 1000000))) (br 0))))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
